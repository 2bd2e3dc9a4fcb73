// Encodes and decodes with Hugging Face's tokenizers.
// In:  { file, texts: [string], ids: [[int]] }
// Out: { encoded: [[int]], offsets: [[[int, int]]], withSpecial: [[int]], offsetsWithSpecial: [[[int, int]]], decoded: [string], decodedSkipSpecial: [string] }
//      (encoded: of texts, decoded: of ids)
import tokenizers from 'tokenizers';
import { readFileSync, writeFileSync } from 'node:fs';

const { file, texts, ids } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const tokenizer = tokenizers.Tokenizer.fromFile(file);

async function encode(addSpecialTokens) {
  const result = [];
  for (const text of texts) result.push(await tokenizer.encode(text, null, { addSpecialTokens }));
  return { ids: result.map(encoding => encoding.getIds()), offsets: result.map(encoding => encoding.getOffsets()) };
}

async function decode(skipSpecialTokens) {
  const result = [];
  for (const list of ids) result.push(await tokenizer.decode(list, skipSpecialTokens));
  return result;
}

const [plain, special] = [await encode(false), await encode(true)];
writeFileSync(process.argv[3], JSON.stringify({
  encoded: plain.ids,
  offsets: plain.offsets,
  withSpecial: special.ids,
  offsetsWithSpecial: special.offsets,
  decoded: await decode(false),
  decodedSkipSpecial: await decode(true),
}));

// Normalizers of Hugging Face's tokenizers.
// In:  [string]
// Out: { nfc: [string], nfd: [string], nfkc: [string], nfkd: [string], lowercase: [string], stripAccents: [string], nmt: [string] }
import tokenizers from 'tokenizers';
import { readFileSync, writeFileSync } from 'node:fs';

const texts = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { nfcNormalizer, nfdNormalizer, nfkcNormalizer, nfkdNormalizer, lowercase, stripAccentsNormalizer, nmt } = tokenizers;
const normalizers = {
  nfc: nfcNormalizer(), nfd: nfdNormalizer(), nfkc: nfkcNormalizer(), nfkd: nfkdNormalizer(), lowercase: lowercase(), stripAccents: stripAccentsNormalizer(), nmt: nmt(),
};
writeFileSync(process.argv[3], JSON.stringify(Object.fromEntries(
  Object.entries(normalizers).map(([name, normalizer]) => [name, texts.map(text => normalizer.normalizeString(text))]))));

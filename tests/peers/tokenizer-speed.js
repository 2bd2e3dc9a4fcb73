// Tokens per second of processor, the median round, at which Hugging Face's tokenizers encode the lines of a file: node tokenizer-speed.js TOKENIZER.json TEXT ROUNDS
// Only the one call of a round is timed. One thread: RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false.
import tokenizers from 'tokenizers';
import { readFileSync } from 'node:fs';

const [file, text, rounds] = process.argv.slice(2);
const tokenizer = tokenizers.Tokenizer.fromFile(file);
const lines = readFileSync(text, 'utf8').split('\n');
const rates = [];
for (let round = 0; round <= rounds; round++) {
  const start = process.cpuUsage();
  const encoded = await tokenizer.encodeBatch(lines, { addSpecialTokens: false });
  const { user, system } = process.cpuUsage(start);
  const seconds = (user + system) / 1e6;
  // The first round warms up.
  if (round > 0) rates.push(encoded.reduce((sum, encoding) => sum + encoding.getLength(), 0) / seconds);
}

console.log(rates.sort((a, b) => a - b)[rounds >> 1]);

// Tokens per second of llama.cpp: node llama-speed.js FILE SEQUENCES TOKENS THREADS
// Each sequence takes in 40 ids and continues them; prints one JSON object a round, the first of which also touches all memory for the first time.
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const [file, sequences, tokens, threads] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({ build: 'never', gpu: false, logLevel: LlamaLogLevel.error, maxThreads: threads });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ contextSize: 512, sequences, batchSize: 512, threads });
const prompt = Array.from({ length: 40 }, (_, i) => i + 1);
const lanes = Array.from({ length: sequences }, () => context.getSequence());

for (let round = 0; round < 3; round++) {
  await Promise.all(lanes.map(lane => lane.clearHistory()));
  const start = performance.now();
  await Promise.all(lanes.map(async lane => {
    let count = 0;
    for await (const _ of lane.evaluate(prompt, { temperature: 0, yieldEogToken: true })) if (++count === tokens) break;
  }));
  console.log(JSON.stringify({ tokensPerSecond: sequences * tokens / ((performance.now() - start) / 1000) }));
}

await llama.dispose();

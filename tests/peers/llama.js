// Loads GGUF files in llama.cpp, one after the other.
// In:  [{ file, texts: [string], sequences: [[int]], scored: [[int]], prompt: [int], tokens: int, chat: string }], all but file optional
// Out: [{ vocabulary: int, ids: [[int]], logits: [[[float]]], logprobs: [[float]], continuation: [int], answer: string }]
//      ids: of texts, special tokens in them recognised and none added. logits[s][t]: over the vocabulary, after the first t + 1 ids of sequence s.
//      logprobs[s][t]: of id t + 1 of a scored sequence, after those before it.
//      continuation: of the prompt, so many tokens, greedy. answer: what a chat session of the file's own template says to chat, greedily.
import { getLlama, readGgufFileInfo, LlamaChatSession, LlamaLogLevel } from 'node-llama-cpp';
import { readFileSync, writeFileSync } from 'node:fs';

// One thread: these models are so small that threads would only wait for each other.
const llama = await getLlama({ build: 'never', gpu: false, logLevel: LlamaLogLevel.error, maxThreads: 1 });

async function answerTo({ file, texts = [], sequences = [], scored = [], prompt, tokens, chat }) {
  const info = await readGgufFileInfo(file);
  const vocabulary = info.metadata.tokenizer.ggml.tokens.length;
  const model = await llama.loadModel({ modelPath: file });
  // Keys and values as precise as the rest, or the weights are not what is compared.
  const context = await model.createContext({
    contextSize: 512, batchSize: 512, flashAttention: false, experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32',
  });
  const sequence = context.getSequence();

  const logits = [];
  for (const ids of sequences) {
    await sequence.clearHistory();
    const outputs = await sequence.controlledEvaluate(ids.map(id => [id, { generateNext: { logits: true, options: { temperature: 0 } } }]));
    logits.push(outputs.map(output => Array.from({ length: vocabulary }, (_, id) => output.next.logits.get(id))));
  }

  const logprobs = [];
  for (const ids of scored) {
    await sequence.clearHistory();
    const outputs = await sequence.controlledEvaluate(ids.slice(0, -1).map((id, i) => [
      id, { generateNext: { logits: { filter: { tokens: [ids[i + 1]], includeMax: true } }, totalLogitWeight: true, options: { temperature: 0 } } },
    ]));
    logprobs.push(outputs.map(({ next }, i) => next.logits.get(ids[i + 1]) - Math.max(...next.logits.values()) - Math.log(next.totalLogitWeight)));
  }

  const continuation = [];
  if (prompt) {
    await sequence.clearHistory();
    for await (const id of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      continuation.push(id);
      if (continuation.length === tokens) break;
    }
  }

  let answer = null;
  if (chat) {
    await sequence.clearHistory();
    answer = await new LlamaChatSession({ contextSequence: sequence, systemPrompt: '' }).prompt(chat, { temperature: 0, maxTokens: 400 });
  }

  const ids = texts.map(text => model.tokenize(text, true));
  await model.dispose();
  return { vocabulary, ids, logits, logprobs, continuation, answer };
}

const answers = [];
for (const request of JSON.parse(readFileSync(process.argv[2], 'utf8'))) answers.push(await answerTo(request));
writeFileSync(process.argv[3], JSON.stringify(answers));
await llama.dispose();

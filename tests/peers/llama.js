// Loads GGUF files in llama.cpp, one after the other.
// In:  [{ file, texts: [string], sequences: [[int]], prompt: [int], tokens: int, chat: string }], all but file optional
// Out: [{ vocabulary: int, tensors: { name: type }, ids: [[int]], logits: [[[float]]], continuation: [int], template: string, answer: string }]
//      ids: of texts, special tokens in them recognised and none added. logits[s][t]: over the vocabulary, after the first t + 1 ids of sequence s.
//      continuation: of the prompt, so many tokens, greedy. answer: what a chat session of the file's own template says to chat, greedily.
import { getLlama, readGgufFileInfo, LlamaChatSession, LlamaLogLevel } from 'node-llama-cpp';
import { readFileSync, writeFileSync } from 'node:fs';

const llama = await getLlama({ build: 'never', gpu: false, logLevel: LlamaLogLevel.error, maxThreads: 2 });

async function answerTo({ file, texts = [], sequences = [], prompt, tokens, chat }) {
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
  return {
    vocabulary, ids, logits, continuation, answer,
    tensors: Object.fromEntries(info.fullTensorInfo.map(tensor => [tensor.name, tensor.ggmlType])),
    template: info.metadata.tokenizer.chat_template ?? null,
  };
}

const answers = [];
for (const request of JSON.parse(readFileSync(process.argv[2], 'utf8'))) answers.push(await answerTo(request));
writeFileSync(process.argv[3], JSON.stringify(answers));
await llama.dispose();

using System.Numerics.Tensors;
using System.Text;
using LLama;
using LLama.Common;
using LLama.Native;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Templates;

namespace TraceDistill.Models.Tests.Export;

/// <summary>A GGUF file that llama.cpp has loaded, and one sequence of it.</summary>
sealed class LlamaCppModel : IDisposable
{
    const int ContextTokens = 512;

    readonly LLamaWeights _weights;
    readonly LLamaContext _context;

    public LlamaCppModel(string file)
    {
        var parameters = new ModelParams(file)
        {
            GpuLayerCount = 0,
            ContextSize = ContextTokens,
            BatchSize = ContextTokens,
            UBatchSize = ContextTokens,

            // One thread: these models are so small that threads would only wait for each other.
            Threads = 1,
            BatchThreads = 1,

            // Keys and values as precise as the rest, or the weights are not what is compared.
            FlashAttention = false,
            TypeK = GGMLType.GGML_TYPE_F32,
            TypeV = GGMLType.GGML_TYPE_F32,
        };
        _weights = LLamaWeights.LoadFromFile(parameters);
        _context = _weights.CreateContext(parameters);
    }

    public int VocabularySize => _weights.Vocab.Count;

    public void Dispose()
    {
        _context.Dispose();
        _weights.Dispose();
    }

    /// <summary>Ids of a text: special tokens in it are recognised and none added.</summary>
    public int[] Tokenize(string text) =>
        [.. _weights.Tokenize(text, add_bos: false, special: true, Encoding.UTF8).Select(token => (int)token)];

    /// <summary>Results of a function of the logits [V] after each of the ids.</summary>
    public T[] Evaluate<T>(int[] ids, Func<ReadOnlySpan<float>, T> read)
    {
        Take(ids, from: 0);
        return [.. ids.Select((_, index) => read(_context.NativeHandle.GetLogitsIth(index)))];
    }

    /// <summary>The likeliest ids after a prompt, one after the other.</summary>
    public IEnumerable<int> Continue(int[] prompt)
    {
        Take(prompt, from: 0);
        for (var (last, length) = (prompt.Length - 1, prompt.Length); ; last = 0, length++)
        {
            var id = TensorPrimitives.IndexOfMax<float>(_context.NativeHandle.GetLogitsIth(last));
            yield return id;
            Take([id], length);
        }
    }

    /// <summary>
    /// The greedy answer to what a user says, up to the token that ends it, by the chat template that stands in the file.
    /// </summary>
    public string AnswerTo(string chat)
    {
        var template = ChatTemplate.Parse(_weights.NativeHandle.GetTemplate()!, "tokenizer.chat_template");
        var prompt = Tokenize(template.Render([new ChatMessage("user", chat)], addGenerationPrompt: true));
        var answer = Continue(prompt)
            .TakeWhile(id => !((LLamaToken)id).IsEndOfGeneration(_weights.Vocab))
            .Take(ContextTokens - prompt.Length);
        return Encoding.UTF8.GetString([.. answer.SelectMany(BytesOf)]);
    }

    byte[] BytesOf(int id)
    {
        var bytes = new byte[256];
        return bytes[..(int)_weights.NativeHandle.TokenToSpan(id, bytes, 0, special: true)];
    }

    /// <summary>Evaluates ids that stand from a position on; what stood there before, if anything, is forgotten.</summary>
    void Take(int[] ids, int from)
    {
        if (from == 0)
        {
            _context.NativeHandle.MemoryClear();
        }

        var batch = new LLamaBatch();
        foreach (var (index, id) in ids.Index())
        {
            batch.Add(id, from + index, LLamaSeqId.Zero, logits: true);
        }

        var result = _context.NativeHandle.Decode(batch);
        if (result != DecodeResult.Ok)
        {
            throw new InvalidOperationException($"llama.cpp could not evaluate {ids.Length} ids from position {from} on: {result}");
        }
    }
}

using System.Runtime.InteropServices;
using TraceDistill.Models;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using static TorchSharp.torch;

namespace TraceDistill.Inference;

/// <summary>The <see cref="Decoder"/> over a batch of tokens; logits are brought to the processor, where tokens are drawn.</summary>
/// <param name="decoder">Owned by this object.</param>
/// <param name="forward">The pass over a batch, by what the model keeps of sequences.</param>
sealed class TensorPass(Decoder decoder, Func<TokenBatch, IReadOnlyList<CachedRow>, Tensor> forward) : IDecoderPass
{
    readonly List<int> _tokens = [];

    /// <summary>Of pictures, in the order of their places among the tokens.</summary>
    readonly List<float> _vectors = [];
    readonly List<CachedRow> _rows = [];
    readonly Dictionary<int[], int> _sequences = [];
    Tensor? _hidden,
        _logits;

    /// <param name="decoder">Owned by this object.</param>
    /// <param name="pages">Keys and values.</param>
    public TensorPass(Decoder decoder, KeyValuePages pages)
        : this(decoder, (batch, tokens) =>
        {
            using var rows = new CachedRows(pages, tokens);
            return decoder.Forward(batch, rows);
        }) { }

    /// <param name="decoder">Owned by this object.</param>
    /// <param name="states">Of sequences, which have one page each: their place.</param>
    public TensorPass(Decoder decoder, RecurrentStates states)
        : this(decoder, (batch, tokens) =>
        {
            var pieces = tokens
                .GroupBy(row => row.Sequence)
                .Select(sequence => new SequencePiece(sequence.First().Pages[0], sequence.First().Position, sequence.Count()));
            using var rows = new RecurrentRows(states, [.. pieces]);
            return decoder.Forward(batch, rows);
        }) { }

    /// <summary>A copy from a device takes long to begin.</summary>
    public int LogitRows => 64;

    public int Exited => 0;

    public void Clear()
    {
        _tokens.Clear();
        _vectors.Clear();
        _rows.Clear();
        _sequences.Clear();
    }

    public int Add(
        int token,
        int position,
        int[] sequencePages,
        bool isLong = false,
        bool mayExit = false,
        ReadOnlyMemory<float> vector = default
    )
    {
        // Sequences are distinguished by the very array that holds their pages.
        if (!_sequences.TryGetValue(sequencePages, out var sequence))
        {
            _sequences.Add(sequencePages, sequence = _sequences.Count);
        }

        _tokens.Add(token);
        _vectors.AddRange(vector.Span);
        _rows.Add(new CachedRow(sequence, position, sequencePages, isLong));
        return _rows.Count - 1;
    }

    public void Run(IReadOnlyList<int> wanted, int helpers = 0)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _hidden?.Dispose();
        var batch = new TokenBatch([.. _tokens], [_tokens.Count], [.. wanted]) { PictureVectors = [.. _vectors] };
        _hidden = forward(batch, _rows).DetachFromDisposeScope();
    }

    public void ComputeLogits(int first, int count)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _logits?.Dispose();
        _logits = decoder.Logits(_hidden!.narrow(0, first, count)).cpu().DetachFromDisposeScope();
    }

    public ReadOnlySpan<float> Logits(int index)
    {
        var vocabulary = (int)_logits!.shape[1];
        return MemoryMarshal.Cast<byte, float>(_logits.bytes).Slice(index * vocabulary, vocabulary);
    }

    public void Dispose()
    {
        _hidden?.Dispose();
        _logits?.Dispose();
        decoder.Dispose();
    }
}

using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Storage;

namespace TraceDistill.Core.Alignment;

/// <summary>
/// Soft targets as a compact shard holds them, decoded anew for each batch: at k = 20 about a fifth of what they take in arrays, so that the
/// memory of a training set is that of its shards.
/// </summary>
public sealed class EncodedSoftTargets : ISoftTargetSource
{
    readonly byte[] _encoded;
    readonly int _tokens, _encodedK, _vocabularySize;
    readonly int? _k, _end;

    EncodedSoftTargets(byte[] encoded, TokenLogprobs logprobs, int? k, int vocabularySize, int? end)
    {
        (_encoded, _tokens, _encodedK) = (encoded, logprobs.Count, logprobs.K);
        (_k, _vocabularySize, _end) = (k, vocabularySize, end);
    }

    /// <summary>Soft targets of a generation whose ids are the student's own; encoded where <paramref name="logprobs"/> came encoded, else as arrays.</summary>
    /// <param name="logprobs">What the teacher reported.</param>
    /// <param name="k">Entries to keep of each row, at most what there are; null keeps all.</param>
    /// <param name="vocabularySize">Ids from here on join the tail; see <see cref="SoftTargets.From"/>.</param>
    /// <param name="end">An end-of-sequence token that follows for certain, or null.</param>
    public static ISoftTargetSource From(TokenLogprobs logprobs, int? k = null, int vocabularySize = int.MaxValue, int? end = null) =>
        logprobs.Encoded is { } encoded
            ? new EncodedSoftTargets(encoded, logprobs, k, vocabularySize, end)
            : From(SoftTargets.From(logprobs, k, vocabularySize), end);

    public SoftTargets Read() => From(SoftTargets.From(SoftTargetCodec.Decode(_encoded, _tokens, _encodedK), _k, _vocabularySize), _end);

    public void AppendTo(IncrementalHash hash)
    {
        hash.AppendData(_encoded);
        hash.AppendData(MemoryMarshal.AsBytes<int>([_tokens, _encodedK, _k ?? -1, _vocabularySize, _end ?? -1]));
    }

    static SoftTargets From(SoftTargets targets, int? end) => end is { } id ? targets.WithCertain(id) : targets;
}

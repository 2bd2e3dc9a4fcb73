using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards.Codec;

namespace TraceDistill.Training.Alignment;

/// <summary>
/// Soft targets as a compact shard holds them, decoded anew for each batch: at k = 20 about a
/// fifth of what they take in arrays, so that the memory of a training set is that of its shards.
/// </summary>
public sealed class EncodedSoftTargets : ISoftTargetSource
{
    readonly TokenLogprobs _logprobs;
    readonly SoftTargetChanges _changes;

    EncodedSoftTargets(TokenLogprobs logprobs, SoftTargetChanges changes) => (_logprobs, _changes) = (logprobs, changes);

    /// <summary>
    /// Soft targets of a generation whose ids are the student's own; encoded where
    /// <paramref name="logprobs"/> came encoded, else as arrays.
    /// </summary>
    /// <param name="logprobs">The teacher's logprobs.</param>
    /// <param name="changes">Changes made to them on their way to the student.</param>
    public static ISoftTargetSource From(TokenLogprobs logprobs, SoftTargetChanges changes) =>
        logprobs.Encoded is null
            ? changes.Apply(logprobs)
            : new EncodedSoftTargets(logprobs with { TopIds = [], TopLogprobs = [] }, changes);

    public long Bytes => _logprobs.Encoded!.Length + (2L * sizeof(int) * _logprobs.Count);

    public SoftTargets Read() =>
        _changes.Apply(
            SoftTargetCodec.Decode(_logprobs.Encoded!, _logprobs.Count, _logprobs.K) with
            {
                TokenIds = _logprobs.TokenIds,
                Logprobs = _logprobs.Logprobs,
            }
        );

    public void AppendTo(IncrementalHash hash)
    {
        hash.AppendData(_logprobs.Encoded!);
        hash.AppendData(MemoryMarshal.AsBytes<int>([_logprobs.Count, _logprobs.K]));
        _changes.AppendTo(hash);
    }
}

using TraceDistill.Data.Generation;

namespace TraceDistill.Data.Shards.Codec;

/// <summary>
/// The <c>soft_targets</c> column: per trace one byte string with every token's alternatives, the mass outside them (the tail)
/// and the token drawn. The format is open: <see cref="SoftTargetFormat"/> has it in words, and every dataset card carries them.
/// </summary>
/// <remarks>
/// Ids are exact. Logprobs are rounded in steps that are even in √p, which is where a given number of steps costs the least
/// Kullback-Leibler divergence; then alternatives and tail are scaled to sum to one. A logprob is off by at most (1/√p +
/// √(k+1))/1000 nats for alternatives above 1/4096 of the best one's probability and 1/16 nat more below it, far less than 16-bit
/// logits are. What is left is coded with adaptive models against the alternatives that the trace had at similar places before.
/// </remarks>
public static class SoftTargetCodec
{
    /// <summary>First byte of the column's values.</summary>
    public const byte Version = 1;

    /// <summary>Encodes the soft targets of one trace, whose rows keep the promises of <see cref="TokenLogprobs"/>.</summary>
    public static byte[] Encode(TokenLogprobs logprobs)
    {
        var row = new QuantizedRow(logprobs.K);
        var rows = new RowCoder<RangeEncoder>(new RangeEncoder(), logprobs.K);
        for (var t = 0; t < logprobs.Count; t++)
        {
            RowQuantizer.Quantize(logprobs, t, row);
            rows.Code(row);
        }

        return [Version, .. rows.Coder.Finish()];
    }

    /// <summary>Decodes the soft targets of one trace.</summary>
    /// <param name="blob">A value of the column.</param>
    /// <param name="tokens">Tokens of the trace: the length of <c>token_ids</c>.</param>
    /// <param name="k">Alternatives a token, as the manifest has it.</param>
    /// <exception cref="InvalidDataException">The bytes are damaged.</exception>
    public static TokenLogprobs Decode(byte[] blob, int tokens, int k)
    {
        if (blob.Length == 0 || blob[0] != Version)
        {
            throw new InvalidDataException(
                blob.Length == 0 ? "the soft targets are empty" : $"the soft targets are of version {blob[0]}, not {Version}"
            );
        }

        var logprobs = new TokenLogprobs
        {
            K = k,
            TokenIds = new int[tokens],
            Logprobs = new float[tokens],
            TopIds = new int[tokens * k],
            TopLogprobs = new float[tokens * k],
        };
        var row = new QuantizedRow(k);
        var rows = new RowCoder<RangeDecoder>(new RangeDecoder(blob[1..]), k);
        for (var t = 0; t < tokens; t++)
        {
            rows.Code(row);
            RowQuantizer.Restore(row, logprobs, t);
        }

        return logprobs;
    }
}

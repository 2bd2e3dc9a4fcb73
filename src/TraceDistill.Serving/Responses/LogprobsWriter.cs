using System.Buffers.Text;
using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Serving.Model;

namespace TraceDistill.Serving.Responses;

/// <summary>
/// Writes entries of <c>logprobs.content</c>: <c>{"id","token","bytes","logprob","top_logprobs":[{"id","token","bytes","logprob"}]}</c>.
/// </summary>
/// <param name="fragments">The start of each token's entry.</param>
/// <param name="draws">Number of draws that alternatives come from, which then have a <c>count</c> each; null for the likeliest.</param>
sealed class LogprobsWriter(TokenFragments fragments, int? draws)
{
    /// <summary>JSON has no −∞; this floor is vLLM's.</summary>
    const float Floor = -9999;

    /// <summary>Room for the digits of a number and what stands around it.</summary>
    const int NumberRoom = 48;

    byte[] _entry = new byte[4096];
    int _length;

    /// <summary>Writes one entry as an array element.</summary>
    public void Write(Utf8JsonWriter json, int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
    {
        _length = 0;
        Append(token, logprob);
        Append(",\"top_logprobs\":["u8);
        for (var j = 0; j < topIds.Length && topIds[j] >= 0; j++)
        {
            if (j > 0)
            {
                Append(","u8);
            }

            Append(topIds[j], topLogprobs[j]);
            if (draws is { } n)
            {
                Append(",\"count\":"u8);
                Utf8Formatter.TryFormat(CountOf(topLogprobs[j], n), _entry.AsSpan(_length), out var written);
                _length += written;
            }

            Append("}"u8);
        }

        Append("]}"u8);
        json.WriteRawValue(_entry.AsSpan(0, _length), skipInputValidation: true);
    }

    /// <summary>Writes row <paramref name="index"/> of <paramref name="logprobs"/>.</summary>
    public void Write(Utf8JsonWriter json, TokenLogprobs logprobs, int index) =>
        Write(
            json,
            logprobs.TokenIds[index],
            logprobs.Logprobs[index],
            logprobs.TopIds.AsSpan(index * logprobs.K, logprobs.K),
            logprobs.TopLogprobs.AsSpan(index * logprobs.K, logprobs.K)
        );

    /// <summary>A log-probability that JSON can hold.</summary>
    public static float Finite(float logprob) => float.Max(logprob, Floor);

    /// <summary>How often a token of log p̂ = log(count / draws) was drawn.</summary>
    public static int CountOf(float logprob, int draws) => (int)Math.Round(draws * Math.Exp(logprob));

    void Append(int token, float logprob)
    {
        Append(fragments.Of(token));
        Utf8Formatter.TryFormat(Finite(logprob), _entry.AsSpan(_length), out var written);
        _length += written;
    }

    void Append(ReadOnlySpan<byte> bytes)
    {
        if (_length + bytes.Length + NumberRoom > _entry.Length)
        {
            Array.Resize(ref _entry, 2 * (_length + bytes.Length + NumberRoom));
        }

        bytes.CopyTo(_entry.AsSpan(_length));
        _length += bytes.Length;
    }
}

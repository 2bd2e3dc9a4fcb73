using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Responses;

/// <summary>
/// The logprobs of <c>/v1/completions</c>, in columns: <c>tokens</c>, <c>token_logprobs</c>, <c>top_logprobs</c> (an
/// object from token to logprob that always holds the chosen one, as OpenAI has it: at most k + 1 entries) and
/// <c>text_offset</c> (in characters). The very first token of an echoed prompt has no logprob, and null in its place.
/// Where alternatives are drawn, the chosen one is not put among them, and <c>top_counts</c> has an object from token to count.
/// </summary>
sealed class CompletionLogprobs(ServedModel model, GenerationFields fields)
{
    readonly List<int> _tokens = [];
    readonly List<(TokenLogprobs Log, int Row)?> _rows = [];

    /// <summary>Adds the echoed prompt.</summary>
    public void AddPrompt(ReadOnlySpan<int> prompt, TokenLogprobs logprobs)
    {
        _tokens.Add(prompt[0]);
        _rows.Add(null);
        Add(logprobs);
    }

    public void Add(TokenLogprobs logprobs)
    {
        for (var row = 0; row < logprobs.Count; row++)
        {
            _tokens.Add(logprobs.TokenIds[row]);
            _rows.Add((logprobs, row));
        }
    }

    /// <param name="firstOffset">Characters before the first token.</param>
    public void Write(Utf8JsonWriter json, int firstOffset)
    {
        json.WriteStartObject("logprobs");
        json.WriteStartArray("tokens");
        _tokens.ForEach(token => json.WriteStringValue(Name(token)));
        json.WriteEndArray();

        json.WriteStartArray("token_logprobs");
        foreach (var row in _rows)
        {
            if (row is var (log, index))
            {
                json.WriteNumberValue(LogprobsWriter.Finite(log.Logprobs[index]));
            }
            else
            {
                json.WriteNullValue();
            }
        }

        json.WriteEndArray();
        json.WriteStartArray("top_logprobs");
        _rows.ForEach(row => WriteTop(json, row));
        json.WriteEndArray();

        if (fields.SampledLogprobs is { } draws)
        {
            json.WriteStartArray("top_counts");
            _rows.ForEach(row => WriteCounts(json, row, draws));
            json.WriteEndArray();
        }

        json.WriteStartArray("text_offset");
        var offset = firstOffset;
        foreach (var token in _tokens)
        {
            json.WriteNumberValue(offset);
            offset += Characters(token);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Characters of all the tokens.</summary>
    public int Characters() => _tokens.Sum(Characters);

    /// <summary>Characters that begin in a token's bytes: all bytes but UTF-8's continuation bytes.</summary>
    int Characters(int token)
    {
        var count = 0;
        foreach (var value in model.IsEnd(token) ? [] : model.TokenBytes(token))
        {
            count += (value & 0xC0) != 0x80 ? 1 : 0;
        }

        return count;
    }

    void WriteTop(Utf8JsonWriter json, (TokenLogprobs Log, int Row)? row)
    {
        if (row is not var (log, index))
        {
            json.WriteNullValue();
            return;
        }

        json.WriteStartObject();
        var written = new HashSet<string>(StringComparer.Ordinal);
        for (var j = index * log.K; j < (index + 1) * log.K && log.TopIds[j] >= 0; j++)
        {
            WriteOne(log.TopIds[j], log.TopLogprobs[j]);
        }

        if (fields.SampledLogprobs is null)
        {
            WriteOne(log.TokenIds[index], log.Logprobs[index]);
        }

        json.WriteEndObject();

        // Different tokens may be the same text (parts of characters are all U+FFFD): the likelier one stands.
        void WriteOne(int token, float logprob)
        {
            if (Name(token) is var name && written.Add(name))
            {
                json.WriteNumber(name, LogprobsWriter.Finite(logprob));
            }
        }
    }

    void WriteCounts(Utf8JsonWriter json, (TokenLogprobs Log, int Row)? row, int draws)
    {
        if (row is not var (log, index))
        {
            json.WriteNullValue();
            return;
        }

        json.WriteStartObject();
        for (var j = index * log.K; j < (index + 1) * log.K && log.TopIds[j] >= 0; j++)
        {
            json.WriteNumber(Name(log.TopIds[j]), LogprobsWriter.CountOf(log.TopLogprobs[j], draws));
        }

        json.WriteEndObject();
    }

    string Name(int token) => fields.TokensAsTokenIds ? $"token_id:{token}" : model.TokenText(token);
}

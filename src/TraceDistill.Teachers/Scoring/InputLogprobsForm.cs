using System.Buffers;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Scoring;

/// <summary>
/// SGLang's own <c>/generate</c> with <c>return_logprob</c>: <c>input_token_logprobs</c> and <c>input_top_logprobs</c>, lists of
/// <c>[logprob, id, text]</c> from <c>logprob_start_len</c> on, whose first token has null for its logprob.
/// </summary>
sealed class InputLogprobsForm : IScoringForm
{
    public static InputLogprobsForm Instance { get; } = new();

    public string Name => "input_token_logprobs";

    public string Route => "../generate";

    public ReadOnlyMemory<byte> Write(ScoringCall call)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using var json = new Utf8JsonWriter(buffer, JsonFile.Plain);
        json.WriteStartObject();
        CompletionFields.WriteIds(json, "input_ids", call.Ids);
        json.WriteStartObject("sampling_params");
        json.WriteNumber("temperature", 1);
        json.WriteNumber("max_new_tokens", call.NewTokens);
        json.WriteEndObject();
        json.WriteBoolean("return_logprob", true);
        json.WriteNumber("logprob_start_len", Start(call));
        json.WriteNumber("top_logprobs_num", call.TopLogprobs);
        json.WriteBoolean("return_text_in_logprobs", true);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    public (ScoredTokens Tokens, int Start) Read(ReadOnlySpan<byte> json, ScoringCall call) =>
        (ResponseJson.Read(json, whole => new Reader(whole, call.TopLogprobs).Read()), Start(call));

    /// <summary>The token before the first one that is wanted: nothing is told of the token that the list begins with.</summary>
    static int Start(ScoringCall call) => Math.Max(0, call.First - 1);

    ref struct Reader(ReadOnlySpan<byte> json, int k)
    {
        readonly ReadOnlySpan<byte> _json = json;
        readonly ScoredTokens _tokens = new(k);
        int _scored,
            _alternatives;

        public ScoredTokens Read()
        {
            var reader = new Utf8JsonReader(_json);
            reader.Read();
            reader.Expect(JsonTokenType.StartObject, "the response");
            while (reader.NextMember())
            {
                if (reader.ValueTextEquals("meta_info"u8) && reader.EnterValue(JsonTokenType.StartObject, "meta_info"))
                {
                    ReadMeta(ref reader);
                }
                else if (reader.TokenType == JsonTokenType.PropertyName)
                {
                    reader.SkipValue();
                }
            }

            // Bytes after the end of the object are an error too; Read finds them.
            reader.Read();
            Walk();
            return _tokens;
        }

        void ReadMeta(ref Utf8JsonReader reader)
        {
            while (reader.NextMember())
            {
                if (reader.ValueTextEquals("prompt_tokens"u8))
                {
                    _tokens.PromptTokens = reader.CountValue() ?? 0;
                }
                else if (reader.ValueTextEquals("completion_tokens"u8))
                {
                    _tokens.CompletionTokens = reader.CountValue() ?? 0;
                }
                else if (reader.ValueTextEquals("input_token_logprobs"u8))
                {
                    _scored = reader.ListStart("meta_info.input_token_logprobs");
                }
                else if (reader.ValueTextEquals("input_top_logprobs"u8))
                {
                    _alternatives = reader.ListStart("meta_info.input_top_logprobs");
                }
                else
                {
                    reader.SkipValue();
                }
            }
        }

        readonly void Walk()
        {
            var scored = JsonCursor.ListAt(_json, _scored);
            var alternatives = JsonCursor.ListAt(_json, _alternatives);
            while (scored.NextElement())
            {
                var (token, logprob, problem) = ReadEntry(ref scored, "meta_info.input_token_logprobs[]");
                if (alternatives.NextElement() && alternatives.TokenType != JsonTokenType.Null)
                {
                    alternatives.Expect(JsonTokenType.StartArray, "meta_info.input_top_logprobs[]");
                    while (alternatives.NextElement())
                    {
                        var (alternative, likelihood, _) = ReadEntry(ref alternatives, "meta_info.input_top_logprobs[][]");
                        if (likelihood is { } value)
                        {
                            _tokens.AddAlternative(alternative.Id, value);
                        }
                    }
                }

                _tokens.End(token, logprob, problem);
            }
        }

        static (ScoredToken Token, float? Logprob, string? Problem) ReadEntry(ref Utf8JsonReader reader, string member)
        {
            reader.Expect(JsonTokenType.StartArray, member);
            reader.Read();
            var (isKnown, logprob, problem) = LogprobEntry.ReadLogprob(ref reader);
            reader.Read();
            reader.Expect(JsonTokenType.Number, member);
            if (!reader.TryGetInt32(out var id) || id < 0)
            {
                throw new WireFormatException($"{member} holds an invalid token id");
            }

            string? text = null;
            while (reader.NextElement())
            {
                text ??= reader.TokenType == JsonTokenType.String ? LenientText.Read(ref reader) : null;
                reader.Skip();
            }

            return (new ScoredToken(id, text), isKnown ? logprob : null, problem);
        }
    }
}

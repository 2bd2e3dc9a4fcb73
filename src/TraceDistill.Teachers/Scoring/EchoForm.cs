using System.Buffers;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Scoring;

/// <summary>
/// <c>/v1/completions</c> with <c>echo</c> and <c>logprobs</c>, as lm-evaluation-harness uses it: the prompt comes back with its logprobs
/// in columns, the first of them null, and behind it what was generated. Tokens are named by <c>token_id:N</c> where the server can, else
/// by their text.
/// </summary>
sealed class EchoForm : IScoringForm
{
    public static EchoForm Instance { get; } = new();

    public string Name => "echo";

    public string Route => "completions";

    public ReadOnlyMemory<byte> Write(ScoringCall call)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using var json = new Utf8JsonWriter(buffer, JsonFile.Plain);
        json.WriteStartObject();
        CompletionFields.Write(json, call);
        json.WriteBoolean("echo", true);
        json.WriteNumber("logprobs", call.DrawSeed is null ? call.TopLogprobs : 0);
        if (call.DrawSeed is { } seed)
        {
            json.WriteNumber("sampled_logprobs", call.TopLogprobs);
            json.WriteNumber("seed", seed);
        }

        if (call.Dialect.AsksForTokenIds)
        {
            json.WriteBoolean("return_tokens_as_token_ids", true);
        }

        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    public (ScoredTokens Tokens, int Start) Read(ReadOnlySpan<byte> json, ScoringCall call) =>
        (ResponseJson.Read(json, whole => new Reader(whole, call.TopLogprobs).Read()), 0);

    /// <param name="json">The whole response.</param>
    /// <param name="k">Alternatives.</param>
    ref struct Reader(ReadOnlySpan<byte> json, int k)
    {
        readonly ReadOnlySpan<byte> _json = json;
        readonly ScoredTokens _tokens = new(k);

        // The lists are members of their own, in any order: where each starts, so that they can be walked side by side.
        int _names,
            _logprobs,
            _alternatives;
        bool _hasChoice;

        public ScoredTokens Read()
        {
            var reader = new Utf8JsonReader(_json);
            reader.Read();
            reader.Expect(JsonTokenType.StartObject, "the response");
            while (reader.NextMember())
            {
                if (!_hasChoice && reader.ValueTextEquals("choices"u8) && reader.EnterValue(JsonTokenType.StartArray, "choices"))
                {
                    ReadChoices(ref reader);
                }
                else if (reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals("usage"u8))
                {
                    CompletionFields.ReadUsage(ref reader, _tokens);
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

        void ReadChoices(ref Utf8JsonReader reader)
        {
            while (reader.NextElement())
            {
                reader.Expect(JsonTokenType.StartObject, "choices[0]");
                if (_hasChoice)
                {
                    reader.Skip();
                    continue;
                }

                _hasChoice = true;
                while (reader.NextMember())
                {
                    if (reader.ValueTextEquals("text"u8))
                    {
                        _tokens.Text = reader.StringValue("choices[0].text");
                    }
                    else if (reader.ValueTextEquals("logprobs"u8) && reader.EnterValue(JsonTokenType.StartObject, "choices[0].logprobs"))
                    {
                        ReadLists(ref reader);
                    }
                    else if (reader.TokenType == JsonTokenType.PropertyName)
                    {
                        reader.SkipValue();
                    }
                }
            }
        }

        void ReadLists(ref Utf8JsonReader reader)
        {
            while (reader.NextMember())
            {
                if (reader.ValueTextEquals("tokens"u8))
                {
                    _names = reader.ListStart("choices[0].logprobs.tokens");
                }
                else if (reader.ValueTextEquals("token_logprobs"u8))
                {
                    _logprobs = reader.ListStart("choices[0].logprobs.token_logprobs");
                }
                else if (reader.ValueTextEquals("top_logprobs"u8))
                {
                    _alternatives = reader.ListStart("choices[0].logprobs.top_logprobs");
                }
                else
                {
                    reader.SkipValue();
                }
            }
        }

        readonly void Walk()
        {
            if (!_hasChoice)
            {
                throw new WireFormatException("the response has no choices");
            }

            var names = JsonCursor.ListAt(_json, _names);
            var logprobs = JsonCursor.ListAt(_json, _logprobs);
            var alternatives = JsonCursor.ListAt(_json, _alternatives);
            while (names.NextElement())
            {
                names.Expect(JsonTokenType.String, "choices[0].logprobs.tokens[]");
                var token = ScoredTokens.Named(LenientText.Read(ref names));
                if (!logprobs.NextElement())
                {
                    throw new WireFormatException("choices[0].logprobs has more tokens than token_logprobs");
                }

                if (alternatives.NextElement() && alternatives.TokenType != JsonTokenType.Null)
                {
                    ReadAlternatives(ref alternatives);
                }

                var (isKnown, logprob, problem) = LogprobEntry.ReadLogprob(ref logprobs);
                _tokens.End(token, isKnown ? logprob : null, problem);
            }
        }

        readonly void ReadAlternatives(ref Utf8JsonReader reader)
        {
            reader.Expect(JsonTokenType.StartObject, "choices[0].logprobs.top_logprobs[]");
            while (reader.NextMember())
            {
                var name = LenientText.Read(ref reader);
                reader.Read();
                var (isKnown, logprob, _) = LogprobEntry.ReadLogprob(ref reader);
                if (isKnown)
                {
                    _tokens.AddAlternative(name, logprob);
                }
            }
        }
    }
}

using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Wire;

/// <summary>Reads the response to SGLang's <c>/generate</c>, whose logprobs are lists of <c>[logprob, id, text]</c>.</summary>
ref struct SglangGenerateReader
{
    readonly int _topLogprobs;
    readonly ReadOnlySpan<byte> _json;
    string? _text;
    string? _finishReason;
    int? _promptTokens;
    int? _completionTokens;

    // The two lists are members of their own, in either order: where each starts, so that they can be walked side by side.
    int _drawnStart;
    int _topStart;

    SglangGenerateReader(ReadOnlySpan<byte> json, int topLogprobs)
    {
        _json = json;
        _topLogprobs = topLogprobs;
    }

    /// <param name="json">The whole response body, UTF-8.</param>
    /// <param name="topLogprobs">Alternatives asked for; with 0, logprobs are ignored.</param>
    /// <param name="form">Known facts about the form of the server's responses.</param>
    /// <exception cref="WireFormatException">The response is not JSON, or of another shape.</exception>
    public static GenerationResult Read(ReadOnlySpan<byte> json, int topLogprobs, ReplyForm form)
    {
        return ResponseJson.Read(json, whole =>
        {
            var generation = new SglangGenerateReader(whole, topLogprobs);
            generation.ReadRoot();
            return generation.ToResult(form);
        });
    }

    void ReadRoot()
    {
        var reader = new Utf8JsonReader(_json);
        reader.Read();
        reader.Expect(JsonTokenType.StartObject, "the response");
        while (reader.NextMember())
        {
            if (reader.ValueTextEquals("text"u8))
            {
                _text = reader.StringValue("text");
            }
            else if (reader.ValueTextEquals("meta_info"u8) && reader.EnterValue(JsonTokenType.StartObject, "meta_info"))
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
    }

    void ReadMeta(ref Utf8JsonReader reader)
    {
        while (reader.NextMember())
        {
            if (reader.ValueTextEquals("finish_reason"u8))
            {
                ReadFinishReason(ref reader);
            }
            else if (reader.ValueTextEquals("prompt_tokens"u8))
            {
                _promptTokens = reader.CountValue() ?? _promptTokens;
            }
            else if (reader.ValueTextEquals("completion_tokens"u8))
            {
                _completionTokens = reader.CountValue() ?? _completionTokens;
            }
            else if (reader.ValueTextEquals("output_token_logprobs"u8))
            {
                _drawnStart = reader.ListStart("meta_info.output_token_logprobs");
            }
            else if (reader.ValueTextEquals("output_top_logprobs"u8))
            {
                _topStart = reader.ListStart("meta_info.output_top_logprobs");
            }
            else
            {
                reader.SkipValue();
            }
        }
    }

    /// <summary><c>{"type":"stop","matched":…}</c> or the like; null while a generation goes on.</summary>
    void ReadFinishReason(ref Utf8JsonReader reader)
    {
        if (!reader.EnterValue(JsonTokenType.StartObject, "meta_info.finish_reason"))
        {
            return;
        }

        while (reader.NextMember())
        {
            if (reader.ValueTextEquals("type"u8))
            {
                _finishReason = reader.StringValue("meta_info.finish_reason.type");
            }
            else
            {
                reader.SkipValue();
            }
        }
    }

    readonly GenerationResult ToResult(ReplyForm form)
    {
        if (_finishReason == "abort")
        {
            throw new WireFormatException("the server aborted the generation (finish_reason abort)");
        }

        if (_text is null)
        {
            throw new WireFormatException("the response has no text");
        }

        var finishReason = string.IsNullOrEmpty(_finishReason)
            ? FinishReasons.Unknown
            : PlainLine.Cut(_finishReason, CompletionParts.LongestFinishReason);
        var (reasoning, answer) = ReasoningSplitter.Split(
            _text,
            form.OpensThinking && !FinishReasons.IsNatural(finishReason),
            form.Markers
        );
        var (logprobs, lack) = _topLogprobs > 0 ? ReadLogprobs() : (null, null);
        return new GenerationResult
        {
            Reasoning = reasoning,
            Answer = answer,
            Text = _text,
            FinishReason = finishReason,
            PromptTokens = _promptTokens ?? 0,
            CompletionTokens = logprobs?.Count ?? _completionTokens ?? 0,
            Logprobs = logprobs,
            LogprobLack = lack,
        };
    }

    readonly (TokenLogprobs? Logprobs, LogprobLack? Lack) ReadLogprobs()
    {
        if (_drawnStart == 0)
        {
            return (null, new LogprobLack("returned no logprobs", IsPartial: false));
        }

        string? problem = null;

        var columns = new LogprobColumns(_topLogprobs);
        var drawn = JsonCursor.ListAt(_json, _drawnStart);
        var top = JsonCursor.ListAt(_json, _topStart);
        while (drawn.NextElement())
        {
            var ((_, logprob, wrong), id) = ReadEntry(ref drawn, "meta_info.output_token_logprobs[]");
            problem ??= wrong;
            if (top.NextElement() && top.TokenType != JsonTokenType.Null)
            {
                top.Expect(JsonTokenType.StartArray, "meta_info.output_top_logprobs[]");
                while (top.NextElement())
                {
                    var ((isKnown, alternative, impossible), alternativeId) = ReadEntry(ref top, "meta_info.output_top_logprobs[][]");
                    if (isKnown)
                    {
                        problem ??= impossible;
                        columns.AddAlternative(alternativeId, alternative);
                    }
                }
            }

            columns.EndRow(id, logprob);
        }

        return problem is not null ? (null, new LogprobLack(problem, IsPartial: false))
            : _completionTokens > columns.Count
                ? (null, new LogprobLack($"returned logprobs for {columns.Count} of {_completionTokens} tokens", IsPartial: true))
            : (columns.ToTokenLogprobs(tokenBytes: null), null);
    }

    static ((bool HasLogprob, float Logprob, string? Problem) Entry, int Id) ReadEntry(ref Utf8JsonReader reader, string member)
    {
        reader.Expect(JsonTokenType.StartArray, member);
        reader.Read();
        var logprob = LogprobEntry.ReadLogprob(ref reader);
        reader.Read();
        reader.Expect(JsonTokenType.Number, member);
        if (!reader.TryGetInt32(out var id) || id < 0)
        {
            throw new WireFormatException($"{member} holds an invalid token id");
        }

        while (reader.NextElement())
        {
            reader.Skip();
        }

        return (logprob, id);
    }
}

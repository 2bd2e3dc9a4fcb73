using System.Text.Json;
using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Wire;

/// <summary>Reads the response to a chat completion of one choice, or a piece of it where it is streamed.</summary>
/// <remarks>
/// Understands OpenAI's form and what vLLM, SGLang, llama.cpp and this project's server add to it: token ids, and reasoning apart from
/// the answer. About twenty times as fast as making an object for each token.
/// </remarks>
ref struct CompletionReader
{
    readonly CompletionParts _parts;
    readonly ReadOnlySpan<byte> _json;
    readonly bool _isPiece;

    CompletionReader(ReadOnlySpan<byte> json, CompletionParts parts, bool isPiece)
    {
        _json = json;
        _parts = parts;
        _isPiece = isPiece;
    }

    /// <summary>Text read of the answer, or of all the text.</summary>
    string? Content { get; set; }

    /// <summary>Text read of the reasoning, where it is distinguished.</summary>
    string? Reasoning { get; set; }

    /// <param name="json">The whole response body, UTF-8.</param>
    /// <param name="topLogprobs">Alternatives asked for; with 0, logprobs are ignored.</param>
    /// <param name="form">Known facts about the form of the server's responses.</param>
    /// <exception cref="WireFormatException">The response is not JSON, or of another shape.</exception>
    /// <exception cref="ReportedErrorException">The server says in it that it failed.</exception>
    public static GenerationResult Read(ReadOnlySpan<byte> json, int topLogprobs, ReplyForm form = default)
    {
        var parts = new CompletionParts(topLogprobs);
        ResponseJson.Read(json, whole => Read(whole, parts, isPiece: false));
        return !parts.HasChoice && ErrorBody.InPlaceOfChoices(json) is { } error
            ? throw new ReportedErrorException(error)
            : parts.ToResult(form);
    }

    /// <param name="json">Data of one event of a stream, UTF-8.</param>
    /// <param name="parts">Takes it.</param>
    /// <returns>The text in it.</returns>
    /// <exception cref="ReportedErrorException">The server says that it failed.</exception>
    /// <exception cref="WireFormatException">The piece is not JSON, or of another shape.</exception>
    public static StreamedText ReadPiece(ReadOnlySpan<byte> json, CompletionParts parts) =>
        ResponseJson.Read(json, piece => Read(piece, parts, isPiece: true));

    static StreamedText Read(ReadOnlySpan<byte> json, CompletionParts parts, bool isPiece)
    {
        var reader = new CompletionReader(json, parts, isPiece);
        reader.ReadRoot();
        return new StreamedText(reader.Content, reader.Reasoning);
    }

    void ReadRoot()
    {
        var reader = new Utf8JsonReader(_json);
        reader.Read();
        reader.Expect(JsonTokenType.StartObject, "the response");
        while (reader.NextMember())
        {
            if (reader.ValueTextEquals("choices"u8))
            {
                ReadChoices(ref reader);
            }
            else if (reader.ValueTextEquals("usage"u8))
            {
                ReadUsage(ref reader);
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                ReadError(ref reader);
            }
            else if (reader.ValueTextEquals("model"u8))
            {
                _parts.Model = reader.NameValue() ?? _parts.Model;
            }
            else if (reader.ValueTextEquals("prompt_token_ids"u8))
            {
                _parts.PromptTokenIds = reader.IntegersValue("prompt_token_ids") ?? _parts.PromptTokenIds;
            }
            else
            {
                reader.SkipValue();
            }
        }

        // Bytes after the end of the object are an error too; Read finds them.
        reader.Read();
    }

    void ReadChoices(ref Utf8JsonReader reader)
    {
        if (!reader.EnterValue(JsonTokenType.StartArray, "choices"))
        {
            return;
        }

        var isFirst = true;
        while (reader.NextElement())
        {
            reader.Expect(JsonTokenType.StartObject, "choices[0]");
            if (isFirst)
            {
                _parts.HasChoice = true;
                ReadChoice(ref reader);
                isFirst = false;
            }
            else
            {
                reader.Skip();
            }
        }
    }

    void ReadChoice(ref Utf8JsonReader reader)
    {
        while (reader.NextMember())
        {
            if (_isPiece ? reader.ValueTextEquals("delta"u8) : reader.ValueTextEquals("message"u8))
            {
                ReadMessage(ref reader);
            }
            else if (reader.ValueTextEquals("logprobs"u8) && _parts.Logprobs is { } logprobs)
            {
                new LogprobsReader(_json, logprobs).Read(ref reader);
            }
            else if (reader.ValueTextEquals("finish_reason"u8))
            {
                // Some servers write an empty one into each piece of a stream.
                _parts.FinishReason = reader.StringValue("choices[0].finish_reason") is { Length: > 0 } reason
                    ? PlainLine.Cut(reason, CompletionParts.LongestFinishReason)
                    : _parts.FinishReason;
            }
            else if (reader.ValueTextEquals("token_ids"u8))
            {
                _parts.AddTokenIds(reader.IntegersValue("choices[0].token_ids") ?? []);
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                ReadError(ref reader);
            }
            else
            {
                reader.SkipValue();
            }
        }
    }

    void ReadMessage(ref Utf8JsonReader reader)
    {
        if (!reader.EnterValue(JsonTokenType.StartObject, "choices[0].message"))
        {
            return;
        }

        var (content, reasoning, details, refusal) = (default(string), default(string), default(string), default(string));
        while (reader.NextMember())
        {
            if (reader.ValueTextEquals("content"u8))
            {
                _parts.HasContent = true;
                (content, var thinking) = ContentParts.Read(ref reader);
                reasoning ??= thinking;
            }
            else if (reader.ValueTextEquals("tool_calls"u8))
            {
                _parts.ToolCalls.ReadList(ref reader);
            }
            else if (reader.ValueTextEquals("function_call"u8))
            {
                _parts.ToolCalls.ReadFunction(ref reader);
            }
            else if (reader.ValueTextEquals("reasoning"u8) || reader.ValueTextEquals("reasoning_content"u8))
            {
                // Some servers write it under both names.
                var text = reader.StringValue("choices[0].message.reasoning");
                reasoning = string.IsNullOrEmpty(text) ? reasoning : text;
            }
            else if (reader.ValueTextEquals("reasoning_details"u8))
            {
                details = ReasoningDetails.Read(ref reader);
            }
            else if (reader.ValueTextEquals("refusal"u8))
            {
                refusal = reader.StringValue("choices[0].message.refusal");
            }
            else
            {
                reader.SkipValue();
            }
        }

        _parts.Add(content, reasoning, details, refusal);
        (Content, Reasoning) = (content, reasoning ?? details);
    }

    void ReadUsage(ref Utf8JsonReader reader)
    {
        var usage = TokenUsage.Read(ref reader);
        _parts.PromptTokens = usage.PromptTokens ?? _parts.PromptTokens;
        _parts.CompletionTokens = usage.CompletionTokens ?? _parts.CompletionTokens;
    }

    /// <summary>An error is one wherever it stands, with a choice beside it or within one; an empty one is none.</summary>
    static void ReadError(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (ErrorBody.Of(JsonElement.ParseValue(ref reader)) is { } error)
        {
            throw new ReportedErrorException(error);
        }
    }
}

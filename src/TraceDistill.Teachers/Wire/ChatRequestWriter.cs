using System.Buffers;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Wire;

/// <summary>Writes the body of a chat-completions request for one choice.</summary>
static class ChatRequestWriter
{
    /// <param name="dialect">Dialect that names the server's fields and those it wants besides.</param>
    /// <param name="model">The model's name as the endpoint knows it.</param>
    /// <param name="messages">The conversation so far.</param>
    /// <param name="sampling">How tokens are drawn, and which fields pass through.</param>
    /// <param name="isStreamed">True where the answer is to come in pieces.</param>
    public static ReadOnlyMemory<byte> Write(
        Dialect dialect,
        string model,
        IEnumerable<ChatMessage> messages,
        SamplingSettings sampling,
        bool isStreamed = false
    )
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(buffer, JsonFile.Plain);
        json.WriteStartObject();
        json.WriteString("model", model);
        json.WriteStartArray("messages");
        foreach (var message in messages)
        {
            json.WriteStartObject();
            json.WriteString("role", message.Role);
            json.WriteString("content", message.Content);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        if (sampling.Temperature != 1 || !dialect.LeftOut.Contains("temperature"))
        {
            json.WriteNumber("temperature", sampling.Temperature);
        }

        if (sampling.TopP < 1 || !dialect.LeftOut.Contains("top_p"))
        {
            json.WriteNumber("top_p", sampling.TopP);
        }

        json.WriteNumber(dialect.MaxTokensField, sampling.MaxTokens);
        if (sampling.Seed is { } seed && !dialect.LeftOut.Contains("seed"))
        {
            json.WriteNumber("seed", seed);
        }

        if (sampling.TopLogprobs > 0)
        {
            json.WriteBoolean("logprobs", true);
            json.WriteNumber(sampling.DrawsAlternatives ? "sampled_logprobs" : "top_logprobs", sampling.TopLogprobs);
            if (dialect.AsksForTokenIds)
            {
                json.WriteBoolean("return_token_ids", true);
                json.WriteBoolean("return_tokens_as_token_ids", true);
            }
        }

        if (isStreamed)
        {
            json.WriteBoolean("stream", true);
            if (!dialect.LeftOut.Contains("stream_options"))
            {
                json.WriteStartObject("stream_options");
                json.WriteBoolean("include_usage", true);
                json.WriteEndObject();
            }
        }

        RequestFields.Write(json, dialect, sampling);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }
}

using System.Buffers;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers.Wire;

/// <summary>
/// SGLang's own <c>/generate</c>: unlike its chat it tells token ids, and it takes them. The
/// prompt is rendered here, in the teacher's own template and tokens.
/// </summary>
/// <param name="tokenizer">The teacher's.</param>
/// <param name="template">The teacher's.</param>
sealed class SglangGenerateForm(Tokenizer tokenizer, ChatTemplate template) : IRequestForm
{
    /// <summary>Of the fields that pass through, the one that is the chat template's, which is rendered here.</summary>
    const string TemplateVariables = "chat_template_kwargs";

    public ReadOnlyMemory<byte> Write(
        Dialect dialect,
        string model,
        IReadOnlyList<ChatMessage> messages,
        SamplingSettings sampling,
        bool isStreamed
    )
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteStartArray("input_ids");
        foreach (var id in Prompt(messages, sampling))
        {
            json.WriteNumberValue(id);
        }

        json.WriteEndArray();
        json.WriteStartObject("sampling_params");
        json.WriteNumber("temperature", sampling.Temperature);
        json.WriteNumber("top_p", sampling.TopP);
        json.WriteNumber("max_new_tokens", sampling.MaxTokens);
        if (sampling.Seed is { } seed)
        {
            json.WriteNumber("sampling_seed", seed);
        }

        RequestFields.Write(json, dialect, sampling, except: TemplateVariables);
        json.WriteEndObject();
        if (sampling.TopLogprobs > 0)
        {
            json.WriteBoolean("return_logprob", true);
            json.WriteNumber("top_logprobs_num", sampling.TopLogprobs);
        }

        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    public GenerationResult Read(ReadOnlySpan<byte> json, SamplingSettings sampling, ReplyForm form) =>
        SglangGenerateReader.Read(json, sampling.TopLogprobs, form);

    /// <summary>The prompt in the teacher's tokens; what the template itself begins with is not begun with twice.</summary>
    int[] Prompt(IReadOnlyList<ChatMessage> messages, SamplingSettings sampling)
    {
        using var extra = sampling.ExtraBody is { } text ? JsonDocument.Parse(text) : null;
        var variables = extra?.RootElement.Find(TemplateVariables) is { ValueKind: JsonValueKind.Object } given
            ? given.EnumerateObject().ToDictionary(variable => variable.Name, variable => (object?)variable.Value)
            : null;
        return tokenizer.Encode(template.Render(messages, addGenerationPrompt: true, variables));
    }
}

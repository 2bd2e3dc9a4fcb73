using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Wire;
using Xunit;

namespace TraceDistill.Teachers.Tests.Wire;

public sealed class ChatRequestWriterTests
{
    static readonly SamplingSettings Sampling = new()
    {
        Temperature = 0.5,
        TopP = 1,
        MaxTokens = 64,
        Seed = 7,
        TopLogprobs = 5,
    };
    static readonly string[] Always = ["model", "messages", "temperature", "seed", "logprobs", "top_logprobs"];
    static readonly string[] TokenIds = ["return_token_ids", "return_tokens_as_token_ids"];

    public static TheoryData<string, string[]> Fields =>
        new()
        {
            { "openai", ["top_p", "max_completion_tokens"] },
            { "azure", ["top_p", "max_completion_tokens"] },
            { "vllm", ["top_p", "max_tokens", .. TokenIds, "top_k", "min_p", "repetition_penalty"] },
            { "sglang", ["top_p", "max_tokens", "top_k", "min_p", "repetition_penalty"] },
            { "llamacpp", ["top_p", "max_tokens", "top_k", "min_p", "repeat_penalty"] },
            { "deepseek", ["top_p", "max_tokens"] },
            { "openrouter", ["top_p", "max_tokens", "provider"] },
            { "ollama", ["top_p", "max_tokens"] },
            { "tgi", ["max_tokens"] },
            { "tracedistill", ["top_p", "max_tokens", .. TokenIds] },
            { "compatible", ["top_p", "max_tokens", .. TokenIds] },
        };

    [Theory]
    [MemberData(nameof(Fields))]
    public void Write_InEachDialect_HasTheFieldsThatItsServerKnows(string dialect, string[] expected) =>
        Assert.Equal(Always.Concat(expected).Order(), Write(dialect, Sampling).EnumerateObject().Select(field => field.Name).Order());

    [Fact]
    public void Write_WithoutLogprobs_AsksForNothingOfTheKind()
    {
        var names = Write("openrouter", Sampling with { TopLogprobs = 0 }).EnumerateObject().Select(field => field.Name);

        Assert.DoesNotContain("provider", names);
        Assert.DoesNotContain("logprobs", names);
    }

    [Fact]
    public void Write_PartOfTheNucleus_IsAskedForEverywhere() =>
        Assert.Equal(0.9, Write("tgi", Sampling with { TopP = 0.9 }).GetProperty("top_p").GetDouble());

    [Fact]
    public void Write_ExtraBody_PassesThroughAndComesBeforeTheDialectsOwn()
    {
        var request = Write("vllm", Sampling with { ExtraBody = """{"chat_template_kwargs":{"enable_thinking":false},"top_k":20}""" });

        Assert.False(request.GetProperty("chat_template_kwargs").GetProperty("enable_thinking").GetBoolean());
        Assert.Equal(20, request.GetProperty("top_k").GetInt32());
        Assert.Equal(0, request.GetProperty("min_p").GetInt32());
        Assert.Single(request.EnumerateObject(), field => field.Name == "top_k");
    }

    static JsonElement Write(string dialect, SamplingSettings sampling) =>
        JsonDocument.Parse(ChatRequestWriter.Write(KnownDialects.Find(dialect)!, "m", [new("user", "?")], sampling)).RootElement;
}

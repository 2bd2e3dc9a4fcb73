using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Wire;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Teachers.Tests.Wire;

/// <summary>A whole collection over SGLang's own route, with the embedded teacher's tokenizer.</summary>
public sealed class SglangGenerateTests
{
    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    [Fact]
    public async Task RunAsync_SglangGenerate_SendsTheTeachersTokensAndKeepsTheirIds()
    {
        var tokenizer = Tokenizer.Load(Teacher);
        var prompt = ChatTemplate.Load(Teacher).Render([new ChatMessage("user", "What is 12 + 34?")], addGenerationPrompt: true);
        string? path = null;
        ReplyToken[] drawn = [new(1, "4", -0.5, (1, "4", -0.5), (2, "5", -1.5)), new(2, "6", -0.25, (2, "6", -0.25), (3, "7", -2.5))];
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                path = context.Request.Path;
                return Replies.Json(DialectReplies.SglangGenerate("<think>a</think>46", drawn))(context, request);
            }
        );
        using var run = new CollectionRun(problems: 2);

        await run.RunAsync(server, options => options with { Dialect = "sglang-generate", Tokenizer = Teacher, TopLogprobs = 2 });

        Assert.Equal("/generate", path);
        using var first = JsonDocument.Parse(server.Requests.First());
        Assert.Equal(tokenizer.Encode(prompt), first.RootElement.GetProperty("input_ids").EnumerateArray().Select(id => id.GetInt32()));
        using var last = JsonDocument.Parse(server.Requests.Last());
        var sampling = last.RootElement.GetProperty("sampling_params");
        Assert.Equal(
            (1.0, 100, -1),
            (
                sampling.GetProperty("temperature").GetDouble(),
                sampling.GetProperty("max_new_tokens").GetInt32(),
                sampling.GetProperty("top_k").GetInt32()
            )
        );
        Assert.True(sampling.GetProperty("sampling_seed").GetInt64() > 0);
        Assert.Equal(
            (true, 2),
            (last.RootElement.GetProperty("return_logprob").GetBoolean(), last.RootElement.GetProperty("top_logprobs_num").GetInt32())
        );

        var traces = await run.TracesAsync();
        Assert.All(traces, trace => Assert.Equal(("a", "46"), (trace.Reasoning, trace.Answer)));
        Assert.All(traces, trace => Assert.Equal([1, 2, 2, 3], trace.Logprobs!.TopIds));
        var manifest = ShardManifest.Load(run.Out)!;
        Assert.Equal((TokenIdentity.Ids, tokenizer.Hash), (manifest.Dataset.TokenIdentity, manifest.Dataset.TokenizerHash));
        Assert.Equal("sglang-generate", manifest.Capabilities!.Dialect);
    }

    [Fact]
    public void Write_TemplateVariables_GoIntoThePromptAndNotToTheServer()
    {
        var tokenizer = Tokenizer.Load(Teacher);
        var form = new SglangGenerateForm(
            tokenizer,
            ChatTemplate.Parse("{{ messages[0].content }}{% if not enable_thinking %} fast{% endif %}", "test")
        );
        var sampling = new SamplingSettings { ExtraBody = """{"chat_template_kwargs":{"enable_thinking":false},"ignore_eos":true}""" };

        using var request = JsonDocument.Parse(
            form.Write(KnownDialects.SglangGenerate, "m", [new("user", "go")], sampling, isStreamed: false)
        );

        Assert.Equal(
            tokenizer.Encode("go fast"),
            request.RootElement.GetProperty("input_ids").EnumerateArray().Select(id => id.GetInt32())
        );
        Assert.True(request.RootElement.GetProperty("sampling_params").GetProperty("ignore_eos").GetBoolean());
        Assert.False(request.RootElement.GetProperty("sampling_params").TryGetProperty("chat_template_kwargs", out _));
    }

    [Fact]
    public void Create_WithoutTokenizer_SaysWhatItIsFor()
    {
        var error = Assert.Throws<InvalidInputException>(() =>
            TeacherEndpoint.Create(
                new EndpointSettings
                {
                    Url = "http://host:30000",
                    Model = "m",
                    Dialect = "sglang-generate",
                }
            )
        );

        Assert.Contains("--tokenizer", error.Message);
    }

    [Fact]
    public void Create_Streamed_IsRefusedByName() =>
        Assert.StartsWith(
            "stream: the dialect sglang-generate",
            Assert
                .Throws<InvalidInputException>(() =>
                    TeacherEndpoint.Create(
                        new EndpointSettings
                        {
                            Url = "http://host:30000",
                            Model = "m",
                            Dialect = "sglang-generate",
                            Stream = true,
                        }
                    )
                )
                .Message
        );
}

using System.Globalization;
using System.Text.Json;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Templates;
using Xunit;

namespace TraceDistill.Text.Tests.Templates;

/// <summary>Renderings recorded from Python's Jinja2 in the environment that transformers gives it.</summary>
public class ChatTemplateReferenceTests
{
    public static TheoryData<string> Templates =>
        new(
            "HuggingFaceTB-SmolLM3-3B",
            "Qwen-QwQ-32B",
            "Qwen-Qwen2.5-7B-Instruct",
            "Qwen-Qwen3-0.6B",
            "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
            "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
            "deepseek-ai-DeepSeek-V3.1",
            "meta-llama-Llama-3.1-8B-Instruct",
            "meta-llama-Llama-3.2-3B-Instruct",
            "microsoft-Phi-3.5-mini-instruct"
        );

    [Theory]
    [MemberData(nameof(Templates))]
    public void Render_RecordedConversations_GivesTheRecordedText(string template)
    {
        var source = File.ReadAllText(TestPaths.SharedData($"chat-templates/{template}.jinja"));
        using var expected = JsonDocument.Parse(File.ReadAllText(TestPaths.SharedData("chat-templates/expected.json")));
        var cases = expected
            .RootElement.EnumerateArray()
            .Where(item => item.GetProperty("template").GetString() == template + ".jinja")
            .ToList();
        Assert.True(cases.Count >= 20);
        foreach (var item in cases)
        {
            var options = item.GetProperty("options");
            var now = DateTimeOffset.Parse(options.GetProperty("now").GetString()! + "Z", CultureInfo.InvariantCulture);
            var variables = options
                .EnumerateObject()
                .Where(option => option.Name is not ("now" or "add_generation_prompt"))
                .ToDictionary(option => option.Name, option => (object?)option.Value);
            var text = ChatTemplate
                .Parse(source, template, new FixedTime(now))
                .Render(item.GetProperty("messages"), options.GetProperty("add_generation_prompt").GetBoolean(), variables);
            Assert.Equal(item.GetProperty("rendered").GetString(), text);
        }
    }
}

using System.Text.Json;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Templates;
using Xunit;

namespace TraceDistill.Text.Tests.Templates;

/// <summary>
/// Which of a conversation's text the assistant said. Expectations are worked out by hand after transformers' AssistantTracker.
/// </summary>
public class ChatRenderingTests
{
    const string Loop = "{% for m in messages %}{{ '<' + m.role[0] + '>' }}BODY{% endfor %}";

    [Theory]
    [InlineData(
        "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}</s>{% "
            + "endgeneration %}{{ ' ' }}{% else %}{{ m.content }}</s>{% endif %}",
        "<u>2+2?</s><a>4</s> <u>3+3?</s><a>6</s> ",
        "4</s>|6</s>"
    )]
    [InlineData(
        "{% if m.role == 'assistant' %}{% generation -%}\n  {%- for c in m.content + '!' -%}  "
            + "{{ c }}{% generation %}.{% endgeneration %}{%- endfor -%}\n{%- endgeneration %}{% endif %}",
        "<u><a>4.!.<u><a>6.!.",
        "4.!.|6.!."
    )]
    [InlineData(
        "{% generation %}{% if m.role == 'assistant' %}{{ m.content }}{% endif %}{% endgeneration %};",
        "<u>;<a>4;<u>;<a>6;",
        "4|6"
    )]
    [InlineData(
        "{% for x in [1, 2] %}{% generation %}{{ m.content }}{% if x == 1 %}{% continue %}{% endif %}+{% endgeneration %}-{% endfor %}",
        "<u>2+2?2+2?+-<a>44+-<u>3+3?3+3?+-<a>66+-",
        "2+2?|2+2?+|4|4+|3+3?|3+3?+|6|6+"
    )]
    public void RenderConversation_GenerationBlocks_AreWhatTheAssistantSaid(string body, string text, string said) =>
        AssertSaid(Loop.Replace("BODY", body), text, said);

    /// <summary>A macro's text keeps its places where it is written as it is, and loses them where it is changed.</summary>
    [Theory]
    [InlineData("{{ say(m) }};", "<u>-;<a>-4;<u>-;<a>-6;", "4|6")]
    [InlineData("{% set x %}{{ say(m) }}{% endset %}{{ x }}{{ x }}", "<u>--<a>-4-4<u>--<a>-6-6", "4|4|6|6")]
    [InlineData("{% generation %}{{ say(m) }}{% endgeneration %}", "<u>-<a>-4<u>-<a>-6", "-|-4|-|-6")]
    [InlineData("{{ say(m) ~ '.' }}{% generation %};{% endgeneration %}", "<u>-.;<a>-4.;<u>-.;<a>-6.;", ";|;|;|;")]
    public void RenderConversation_BlocksInCapturedText_CountWhereItIsWrittenUnchanged(string body, string text, string said) =>
        AssertSaid(
            "{% macro say(m) %}-{% generation %}{% if m.role == 'assistant' %}{{ m.content }}{% endif %}{% endgeneration %}{% endmacro %}"
                + Loop.Replace("BODY", body),
            text,
            said
        );

    /// <summary>The same template with and without blocks has the same spans: one rule stands in for the other.</summary>
    [Theory]
    [InlineData("<end>", null)]
    [InlineData("</s>", "</s>")]
    public void RenderConversation_WithoutBlocks_FindsTheSameByPrefixDifference(string end, string? endToken)
    {
        const string Template =
            "{{ bos }}{% for m in messages %}[{{ m.role }}]\n{% if m.role == 'assistant' %}GEN{{ m.content | trim }}ENDEND-GEN{% else %}{{ "
            + "m.content }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}[assistant]\n{{ '' }}{% else %}{{ '</s>' }}{% endif %}";
        var variables = new Dictionary<string, object?> { ["bos"] = "<s>", ["eos_token"] = "</s>" };
        var conversation = Json(
            """
            [{"role":"system","content":"</s><end>"},{"role":"user","content":"2+2?"},
             {"role":"assistant","content":" <think></s><end></think>4 "},
             {"role":"tool","content":"5"},{"role":"assistant","content":"4"},{"role":"user","content":"2+2?"},
             {"role":"assistant","content":""}]
            """
        );
        ChatRendering Rendering(string open, string close) =>
            ChatTemplate
                .Parse(Template.Replace("END-GEN", close).Replace("GEN", open).Replace("END", end), "template")
                .RenderConversation(conversation, endToken ?? end, variables);

        var (byPrefix, byBlocks) = (Rendering("", ""), Rendering("{% generation %}", "{% endgeneration %}"));

        Assert.Equal(byBlocks.Text, byPrefix.Text);
        Assert.Equal([$"<think></s><end></think>4{end}", $"4{end}", end], Said(byPrefix));
        Assert.Equal(byBlocks.AssistantSpans, byPrefix.AssistantSpans);
    }

    /// <summary>
    /// What a turn ends with is not of the turn where the template goes on: Phi 3.5 writes a line break, and eos_token at the very end.
    /// </summary>
    [Theory]
    [InlineData("Qwen-Qwen2.5-7B-Instruct", "<|im_end|>", "<think>\nzwei\n</think>\n\n4<|im_end|>|6<|im_end|>")]
    [InlineData("meta-llama-Llama-3.1-8B-Instruct", "<|eot_id|>", "<think>\nzwei\n</think>\n\n4<|eot_id|>|6<|eot_id|>")]
    [InlineData("meta-llama-Llama-3.2-3B-Instruct", "<|eot_id|>", "<think>\nzwei\n</think>\n\n4<|eot_id|>|6<|eot_id|>")]
    [InlineData("microsoft-Phi-3.5-mini-instruct", "<|end|>", "<think>\nzwei\n</think>\n\n4<|end|>|6<|end|>")]
    [InlineData("HuggingFaceTB-SmolLM3-3B", "<|im_end|>", "<think>\nzwei\n</think>\n\n4<|im_end|>|6<|im_end|>")]
    // Those that strip thinking from history or open it in the prompt: only turns that stand there as they were generated.
    [InlineData("Qwen-Qwen3-0.6B", "<|im_end|>", "<think>\n\n</think>\n\n6<|im_end|>")]
    [InlineData("Qwen-QwQ-32B", "<|im_end|>", "")]
    [InlineData("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "<｜end▁of▁sentence｜>", "")]
    [InlineData("deepseek-ai-DeepSeek-V3.1", "<｜end▁of▁sentence｜>", "\n\n4<｜end▁of▁sentence｜>|6<｜end▁of▁sentence｜>")]
    public void RenderConversation_TemplatesOfPublishedModels_FindsWhatStandsThereAsGenerated(
        string template,
        string endOfTurn,
        string said
    )
    {
        var conversation = Json(
            """
            [{"role":"user","content":"2+2?"},{"role":"assistant","content":"<think>\nzwei\n</think>\n\n4"},
             {"role":"user","content":"3+3?"},{"role":"assistant","content":"6"}]
            """
        );
        var rendering = Published(template)
            .RenderConversation(
                conversation,
                endOfTurn,
                new Dictionary<string, object?> { ["bos_token"] = "<s>", ["eos_token"] = "<|endoftext|>" }
            );

        Assert.Equal(said, string.Join('|', Said(rendering)));
    }

    [Theory]
    [InlineData("Qwen-Qwen2.5-7B-Instruct", true, true, false, false)]
    [InlineData("meta-llama-Llama-3.1-8B-Instruct", true, true, false, false)]
    [InlineData("microsoft-Phi-3.5-mini-instruct", true, true, false, false)]
    [InlineData("HuggingFaceTB-SmolLM3-3B", true, true, false, false)]
    [InlineData("Qwen-Qwen3-0.6B", false, true, false, true)]
    [InlineData("Qwen-QwQ-32B", false, true, false, false)]
    [InlineData("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", false, false, false, false)]
    [InlineData("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", false, false, false, false)]
    [InlineData("deepseek-ai-DeepSeek-V3.1", false, false, false, false)]
    [Trait("Mistake", "chat template stripping the thinking from history")]
    public void ProbeReasoning_TemplatesOfPublishedModels_TellsWhereThinkingStays(
        string template,
        bool history,
        bool last,
        bool fieldHistory,
        bool fieldLast
    )
    {
        Assert.Equal(new ReasoningKept(history, last), Published(template).ProbeReasoning(asField: false));
        Assert.Equal(new ReasoningKept(fieldHistory, fieldLast), Published(template).ProbeReasoning(asField: true));
    }

    static ChatTemplate Published(string template) =>
        ChatTemplate.Parse(File.ReadAllText(TestPaths.SharedData($"chat-templates/{template}.jinja")), template);

    static void AssertSaid(string template, string text, string said)
    {
        var rendering = ChatTemplate
            .Parse(template, "template")
            .RenderConversation(
                Json(
                    """[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"},{"role":"user","content":"3+3?"},{"role":"assistant","content":"6"}]"""
                )
            );

        Assert.Equal(text, rendering.Text);
        Assert.Equal(said, string.Join('|', Said(rendering)));
    }

    static IEnumerable<string> Said(ChatRendering rendering) => rendering.AssistantSpans.Select(span => rendering.Text[span]);

    static JsonElement Json(string json) => JsonSerializer.Deserialize<JsonElement>(json);
}

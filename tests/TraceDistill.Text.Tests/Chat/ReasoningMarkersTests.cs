using TraceDistill.Text.Chat;
using Xunit;

namespace TraceDistill.Text.Tests.Chat;

public sealed class ReasoningMarkersTests
{
    // Fragments as they stand in the models' own templates.
    [Theory]
    [InlineData("{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}", "<think>")]
    [InlineData("{%- set content = content.split('</think>')[-1] %}", "<think>")]
    [InlineData("{{- '[THINK]' + block['thinking'] + '[/THINK]' }}", "[THINK]")]
    [InlineData(
        "{{- \"<|start|>assistant<|channel|>analysis<|message|>\" + message.thinking + \"<|end|>\" }}",
        "<|channel|>analysis<|message|>"
    )]
    [InlineData("{%- set think_begin_token = '<seed:think>' -%}", "<seed:think>")]
    [InlineData("{{ message['content'] }}", null)]
    public void Of_Template_FindsItsMarks(string source, string? open) => Assert.Equal(open, ReasoningMarkers.Of(source)?.Open);

    [Theory]
    [InlineData("<|assistant|><think>\n", "<think>")]
    [InlineData("<|assistant|>", null)]
    [InlineData("[/INST][THINK]", "[THINK]")]
    [InlineData("is <think> a mark?", null)]
    public void OpenedBy_Prompt_TellsTheMarkThatItEndsIn(string prompt, string? open) =>
        Assert.Equal(open, ReasoningMarkers.OpenedBy(prompt)?.Open);

    [Fact]
    public void TryName_TwoMarksOrHarmony_AreTaken()
    {
        Assert.Equal(new ReasoningMarkers("<a>", "</a>"), Named("<a>", "</a>"));
        Assert.Equal(ReasoningMarkers.Harmony, Named("harmony"));
        Assert.Null(Named());

        static ReasoningMarkers? Named(params string[] names) =>
            ReasoningMarkers.TryName(names, out var markers) ? markers : throw new InvalidOperationException();
    }

    [Theory]
    [InlineData("<a>")]
    [InlineData("<a>", "<a>")]
    [InlineData("<a>", "")]
    [InlineData("<a>", "</a>", "<b>")]
    public void TryName_AnythingElse_IsRefused(params string[] names) => Assert.False(ReasoningMarkers.TryName(names, out _));
}

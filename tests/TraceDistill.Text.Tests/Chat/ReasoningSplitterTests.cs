using TraceDistill.Text.Chat;
using Xunit;

namespace TraceDistill.Text.Tests.Chat;

public sealed class ReasoningSplitterTests
{
    [Theory]
    [InlineData("<think>\nb\n</think>\n\nc\n", "b", "c")]
    [InlineData("b</think>c", "b", "c")]
    [InlineData("  <think>cut off", "cut off", "")]
    [InlineData(" c ", "", "c")]
    [InlineData("a < b <think> c", "", "a < b <think> c")]
    [InlineData("", "", "")]
    [InlineData("<think>a</think>b<think>c</think>d", "a\n\nc", "b\n\nd")]
    [InlineData("<think>a</think>b<think>cut off", "a\n\ncut off", "b")]
    [InlineData("b <think>a</think> d", "a", "b\n\nd")]
    [InlineData("a</think>b<think>c</think>d", "a\n\nc", "b\n\nd")]
    [InlineData("<think></think>c", "", "c")]
    public void Split_Generation_PartsReasoningFromAnswer(string text, string reasoning, string answer) =>
        Assert.Equal((reasoning, answer), ReasoningSplitter.Split(text));

    [Theory]
    [InlineData("cut off", "cut off", "")]
    [InlineData("a</think>b", "a", "b")]
    [InlineData("<think>a</think>b", "a", "b")]
    public void Split_WithinAPromptThatOpensTheThinking_BeginsInTheReasoning(string text, string reasoning, string answer) =>
        Assert.Equal((reasoning, answer), ReasoningSplitter.Split(text, isOpened: true));

    [Fact]
    public void Split_WhatWasJoined_GivesItBack() => Assert.Equal(("b", "c"), ReasoningSplitter.Split(ReasoningSplitter.Join("b", "c")));

    // Generations as servers show them: Magistral, gpt-oss, Kimi, Seed-OSS, MiniMax; the
    // answer is what follows the reasoning, whatever is boxed in it.
    [Theory]
    [InlineData("[THINK]Two and two. \\boxed{5}? No.[/THINK]The answer is 4.", "Two and two. \\boxed{5}? No.", "The answer is 4.")]
    [InlineData("◁think▷perhaps \\boxed{5}? no.◁/think▷It is 4.", "perhaps \\boxed{5}? no.", "It is 4.")]
    [InlineData("<seed:think>perhaps \\boxed{5}? no.</seed:think>It is 4.", "perhaps \\boxed{5}? no.", "It is 4.")]
    [InlineData("<mm:think>perhaps \\boxed{5}? no.</mm:think>It is 4.", "perhaps \\boxed{5}? no.", "It is 4.")]
    [InlineData("<reasoning>perhaps \\boxed{5}? no.</reasoning>It is 4.", "perhaps \\boxed{5}? no.", "It is 4.")]
    [InlineData("perhaps \\boxed{5}? no.[/THINK]It is 4.", "perhaps \\boxed{5}? no.", "It is 4.")]
    [InlineData("[THINK]perhaps \\boxed{5}", "perhaps \\boxed{5}", "")]
    [InlineData("It is 4, [THINK] is a mark.", "", "It is 4, [THINK] is a mark.")]
    [InlineData(
        "<|channel|>analysis<|message|>\\boxed{5}? no.<|end|><|start|>assistant<|channel|>final<|message|>It is 4.<|return|>",
        "\\boxed{5}? no.",
        "It is 4."
    )]
    [InlineData(
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary "
            + "to=functions.f <|constrain|>json<|message|>{}<|call|>",
        "a\n\n{}",
        ""
    )]
    [InlineData("<|channel|>analysis<|message|>\\boxed{5}", "\\boxed{5}", "")]
    [InlineData("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>fin", "a", "")]
    public void Split_MarksOfOtherModels_PartsReasoningFromAnswer(string text, string reasoning, string answer) =>
        Assert.Equal((reasoning, answer), ReasoningSplitter.Split(text));

    [Theory]
    [InlineData("analysis2+2, \\boxed{5}? no.assistantfinalIt is 4.", "2+2, \\boxed{5}? no.", "It is 4.")]
    [InlineData("analysis2+2", "2+2", "")]
    [InlineData("It is 4.", "", "It is 4.")]
    public void Split_HarmonyWithoutItsSpecialTokens_IsReadWhereTheModelIsKnownForIt(string text, string reasoning, string answer)
    {
        Assert.Equal((reasoning, answer), ReasoningSplitter.Split(text, markers: ReasoningMarkers.Harmony));
        Assert.Equal(("", text), ReasoningSplitter.Split(text));
    }

    [Theory]
    [InlineData("(a)b(c)d", "b", "d")]
    [InlineData("b(c)d", "b", "d")]
    [InlineData("<think>b</think>c", "b", "c")]
    [InlineData("(a)b", "b", "")]
    public void Split_MarksOfASetting_CountBesideThoseThatCannotBeAnythingElse(string text, string reasoning, string answer) =>
        Assert.Equal((reasoning, answer), ReasoningSplitter.Split(text, markers: new ReasoningMarkers("(a)", "(c)")));

    [Fact]
    public void Split_WithinAPromptThatOpensOtherMarks_BeginsInTheReasoning() =>
        Assert.Equal(
            ("\\boxed{5}", ""),
            ReasoningSplitter.Split("\\boxed{5}", isOpened: true, new ReasoningMarkers("[THINK]", "[/THINK]"))
        );
}

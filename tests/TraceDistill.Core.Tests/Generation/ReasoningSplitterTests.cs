using TraceDistill.Core.Generation;
using Xunit;

namespace TraceDistill.Core.Tests.Generation;

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
}

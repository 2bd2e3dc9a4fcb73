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
    public void Split_Generation_PartsReasoningFromAnswer(string text, string reasoning, string answer) =>
        Assert.Equal((reasoning, answer), ReasoningSplitter.Split(text));

    [Fact]
    public void Split_WhatWasJoined_GivesItBack() => Assert.Equal(("b", "c"), ReasoningSplitter.Split(ReasoningSplitter.Join("b", "c")));
}

using TraceDistill.Data.Generation;
using Xunit;

namespace TraceDistill.Data.Tests.Generation;

public sealed class FinishReasonsTests
{
    [Theory]
    [InlineData("stop", true)]
    [InlineData("STOP", true)]
    [InlineData("eos", true)]
    [InlineData("end_turn", true)]
    [InlineData("tool_calls", true)]
    [InlineData("function_call", true)]
    [InlineData("human", true)]
    [InlineData("length", false)]
    [InlineData("MAX_TOKENS", false)]
    [InlineData("model_length", false)]
    [InlineData("insufficient_system_resource", false)]
    [InlineData("network_error", false)]
    [InlineData("content_filter", false)]
    [InlineData("sensitive", false)]
    [InlineData("timeout", false)]
    [InlineData("abort", false)]
    [InlineData("repetition", false)]
    [InlineData("unknown", false)]
    [InlineData("", false)]
    public void IsNatural_AnythingButTheModelsOwnEnd_IsUnfinished(string reason, bool expected) =>
        Assert.Equal(expected, FinishReasons.IsNatural(reason));

    [Theory]
    [InlineData("length", true)]
    [InlineData("max_tokens", true)]
    [InlineData("MAX_TOKENS", true)]
    [InlineData("model_context_window_exceeded", true)]
    [InlineData("network_error", false)]
    public void IsTooLong_WordsForTheSameLimit_AreAlike(string reason, bool expected) =>
        Assert.Equal(expected, FinishReasons.IsTooLong(reason));
}

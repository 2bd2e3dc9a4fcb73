using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using Xunit;

namespace TraceDistill.Data.Tests.Traces;

public sealed class TraceIdTests
{
    static readonly ChatMessage[] Messages = [new("user", "1+1?")];
    static readonly SamplingSettings Sampling = new()
    {
        Temperature = 0.7,
        TopP = 0.95,
        MaxTokens = 100,
        Seed = 3,
        TopLogprobs = 20,
    };

    /// <summary>
    /// From the same fields hashed with Python: an id that changes would have every trace collected before it asked for again.
    /// </summary>
    [Fact]
    public void Create_KnownRequest_IsTheIdOfEarlierVersions() =>
        Assert.Equal("849287763d0392c2b922e284bc166602", TraceId.Create("p1", Messages, "teacher", Sampling, 0));

    [Fact]
    public void Create_AnyDifference_GivesAnotherId()
    {
        string[] ids =
        [
            TraceId.Create("p1", Messages, "teacher", Sampling, 0),
            TraceId.Create("p2", Messages, "teacher", Sampling, 0),
            TraceId.Create("p1", [new("user", "1+1"), new("?", "")], "teacher", Sampling, 0),
            TraceId.Create("p1", [new("system", "1+1?")], "teacher", Sampling, 0),
            TraceId.Create("p1t", Messages, "eacher", Sampling, 0),
            TraceId.Create("p1", Messages, "teacher", Sampling with { Temperature = 0.8 }, 0),
            TraceId.Create("p1", Messages, "teacher", Sampling with { TopP = 1 }, 0),
            TraceId.Create("p1", Messages, "teacher", Sampling with { MaxTokens = 101 }, 0),
            TraceId.Create("p1", Messages, "teacher", Sampling with { Seed = null }, 0),
            TraceId.Create("p1", Messages, "teacher", Sampling with { TopLogprobs = 5 }, 0),
            TraceId.Create("p1", Messages, "teacher", Sampling, 1),
        ];

        Assert.Equal(ids.Length, ids.Distinct().Count());
    }
}

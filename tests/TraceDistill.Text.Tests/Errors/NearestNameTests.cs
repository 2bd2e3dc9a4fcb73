using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Text.Tests.Errors;

public sealed class NearestNameTests
{
    [Theory]
    [InlineData("max_step", "max_steps", 1)]
    [InlineData("lerning_rate", "learning_rate", 1)]
    [InlineData("sede", "seed", 1)]
    [InlineData("kitten", "sitting", 3)]
    [InlineData("", "abc", 3)]
    public void Distance_KnownPairs_IsTheirEditDistance(string a, string b, int expected)
    {
        Assert.Equal(expected, NearestName.Distance(a, b));
        Assert.Equal(expected, NearestName.Distance(b, a));
    }

    [Fact]
    public void Suggestion_NothingNear_ListsWhatIsKnown()
    {
        Assert.Equal("did you mean \"seed\"?", NearestName.Suggestion("sede", ["steps", "seed"]));
        Assert.Equal("known: seed, steps", NearestName.Suggestion("temperature", ["steps", "seed"]));
    }
}

using TraceDistill.Data.Answers.Notation;
using Xunit;

namespace TraceDistill.Data.Tests.Answers.Notation;

public sealed class UnitTests
{
    /// <summary>The international definitions: an inch is 25.4 mm, a pound 0.45359237 kg, a calorie 4.184 J.</summary>
    [Theory]
    [InlineData("in", "mm", 254, 10)]
    [InlineData("ft", "in", 12, 1)]
    [InlineData("mile", "feet", 5280, 1)]
    [InlineData("km/h", "m/s", 5, 18)]
    [InlineData("km per hour", "m s^-1", 5, 18)]
    [InlineData("lb", "oz", 16, 1)]
    [InlineData("lbs", "g", 45359237, 100000)]
    [InlineData("square meters", "cm^2", 10000, 1)]
    [InlineData("L", "cm^3", 1000, 1)]
    [InlineData("gallons", "quarts", 4, 1)]
    [InlineData("kWh", "J", 3600000, 1)]
    [InlineData("cal", "J", 4184, 1000)]
    [InlineData("N", "kg m/s^2", 1, 1)]
    [InlineData("years", "months", 12, 1)]
    public void Read_TwoUnitsOfOneDimension_HaveTheRatioOfTheirDefinitions(string first, string second, int above, int below)
    {
        var (a, b) = (Unit.Read(first)!, Unit.Read(second)!);
        Assert.NotNull(a.Dimensions);
        Assert.Equal(a.Dimensions, b.Dimensions);
        Assert.Equal(new(above, below), a.Factor / b.Factor);
    }

    [Fact]
    public void Read_WordsForWhatIsCounted_IsANoun() => Assert.Equal(Unit.Noun, Unit.Read("red apples"));

    [Fact]
    public void Read_WordsThatSayMore_IsNoUnit() => Assert.Null(Unit.Read("more than that"));
}

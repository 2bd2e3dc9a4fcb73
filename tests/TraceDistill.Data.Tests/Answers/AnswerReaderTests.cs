using TraceDistill.Data.Answers;
using Xunit;

namespace TraceDistill.Data.Tests.Answers;

public sealed class AnswerReaderTests
{
    [Theory]
    [InlineData("3", "Quantity")]
    [InlineData("x = 3", "Assignment")]
    [InlineData("x < 3", "RealSet")]
    [InlineData("2x + 3y = 6", "Relation")]
    [InlineData("(1, 2)", "Tuple")]
    [InlineData("1, 2", "AnswerList")]
    [InlineData("12:30", "Clock")]
    [InlineData("3 \\pmod 7", "Residue")]
    [InlineData("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "Matrix")]
    [InlineData("\\begin{array}{c} 1 \\end{array}", "Quantity")]
    [InlineData("\\text{Wednesday}", "Wording")]
    [InlineData("\\text{all real numbers}", "RealSet")]
    [InlineData("a + b = 1 + 2 = 3", "Quantity")]
    public void Read_AnAnswer_HasItsType(string text, string type) => Assert.Equal(type, AnswerReader.Read(text)[0].Answer.GetType().Name);

    [Fact]
    public void Read_AListWhereThousandsAreParted_IsWeak()
    {
        var readings = AnswerReader.Read("1,200");

        Assert.Equal([false, true], readings.Take(2).Select(reading => reading.IsWeak));
    }
}

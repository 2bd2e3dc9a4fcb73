using TraceDistill.Data.Labels;
using Xunit;

namespace TraceDistill.Data.Tests.Labels;

public class LabelIdsTests
{
    [Theory]
    [InlineData("neg,pos", "pos", 1)]
    [InlineData("neg,pos", "1", 1)]
    [InlineData("neg,pos", "2", null)]
    [InlineData("neg,pos", "01", null)]
    [InlineData("neg,pos", "neutral", null)]
    [InlineData("10,20,30", "20", 1)]
    [InlineData("10,20,30", "2", null)]
    [InlineData("LABEL_0,LABEL_1", "0", 0)]
    public void Of_NameOrNumber_IsItsId(string labels, string label, int? id) =>
        Assert.Equal(id, new LabelIds(labels.Split(',')).Of(label));
}

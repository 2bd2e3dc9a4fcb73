using TraceDistill.Evaluation.Verification.Prose;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification.Prose;

public sealed class DenialTests
{
    [Theory]
    [InlineData("The answer is not ", true)]
    [InlineData("La respuesta no es ", true)]
    [InlineData("\u7b54\u6848\u4e0d\u662f", true)]
    [InlineData("The knot ", false)]
    [InlineData("The answer is ", false)]
    public void IsBefore_TheEndOfALead_TellsADenial(string lead, bool isDenied) =>
        Assert.Equal(isDenied, Denial.IsBefore(lead, lead.Length));
}

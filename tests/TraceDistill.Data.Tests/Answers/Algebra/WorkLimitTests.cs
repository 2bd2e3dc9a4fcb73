using TraceDistill.Data.Answers.Algebra;
using Xunit;

namespace TraceDistill.Data.Tests.Answers.Algebra;

public sealed class WorkLimitTests
{
    [Fact]
    public void Charge_BeyondTheLimit_ThrowsUntilTheComparisonEnds()
    {
        using (WorkLimit.Begin())
        {
            Assert.Throws<BeyondEngineException>(() => WorkLimit.Charge(1_000_000_000));
            Assert.Throws<BeyondEngineException>(() => WorkLimit.Charge(1));
        }

        WorkLimit.Charge(1_000_000_000);
        using (WorkLimit.Begin())
        {
            WorkLimit.Charge(1);
        }
    }
}

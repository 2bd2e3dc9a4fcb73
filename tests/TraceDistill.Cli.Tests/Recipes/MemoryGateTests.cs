using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Recipes;

public class MemoryGateTests
{
    static readonly Dictionary<string, long> Needed = new() { ["small"] = 1_000_000_000, ["large"] = 3_000_000_000 };

    [Theory]
    [InlineData(4_100_000_000, 0, null)]
    [InlineData(3_900_000_000, 0, "memory: it needs about 3.0 GB, and 2.9 GB are left")]
    [InlineData(3_100_000_000, 1_000_000_000, null)]
    [InlineData(3_100_000_000, 1_500_000_000, null)]
    [InlineData(500_000_000, 0, "memory: it needs about 3.0 GB, and 0 kB are left")]
    public void Shortage_OneThatRuns_KeepsWhatItHasNotTakenYet(long available, long held, string? lacking)
    {
        var gate = new MemoryGate(() => available, stage => Needed[stage.Name], _ => held);

        Assert.Equal(lacking, gate.Shortage(Stage("large"), [Stage("small")]));
    }

    [Fact]
    public void Shortage_UnknownMemory_LacksNothing() =>
        Assert.Null(new MemoryGate(() => null, stage => Needed[stage.Name], _ => 0).Shortage(Stage("large"), [Stage("small")]));

    static PlannedStage Stage(string name) => SampleStages.Of(new CountVerb(), new CountOptions(), name, []);
}

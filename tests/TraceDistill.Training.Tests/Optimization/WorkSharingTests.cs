using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Optimization;

public class WorkSharingTests
{
    [Fact]
    public void Share_UnequalCosts_GivesEveryItemOnceAndEqualLoads()
    {
        long[] costs = [7, 1, 5, 3, 2, 6];

        var shares = WorkSharing.Share(costs, 2);

        Assert.Equal([0, 1, 2, 3, 4, 5], shares.SelectMany(share => share).Order());
        Assert.All(shares, share => Assert.Equal(12, share.Sum(item => costs[item])));
    }

    [Fact]
    public void Share_FewerItemsThanWorkers_LeavesSomeWithout() =>
        Assert.Equal([1, 1, 0], WorkSharing.Share([4, 4], 3).Select(share => share.Length));
}

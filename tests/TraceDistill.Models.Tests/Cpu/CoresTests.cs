using TraceDistill.Models.Cpu;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Cpu;

public class CoresTests
{
    [Fact]
    public void For_IdleCores_TakeParts()
    {
        using var together = new Barrier(3);
        var done = new int[3];
        new Cores(3).Each(1, _ => Cores.For(3, part =>
            {
                // All three wait for each other: on fewer threads it would not end.
                Assert.True(together.SignalAndWait(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken));
                Interlocked.Increment(ref done[part]);
            }));

        Assert.Equal([1, 1, 1], done);
    }

    /// <summary>No more threads than cores, and what a part does is not shared once more.</summary>
    [Fact]
    public void For_FewerCoresThanParts_DoesEachPartOnce()
    {
        var (running, most, done, nested) = (0, 0, new int[50], new HashSet<int>());
        var gate = new Lock();
        new Cores(2).Each(1, _ => Cores.For(done.Length, part =>
            {
                lock (gate)
                {
                    most = Math.Max(most, ++running);
                }

                Cores.For(4, _ =>
                {
                    lock (gate)
                    {
                        nested.Add(Environment.CurrentManagedThreadId);
                    }
                });
                lock (gate)
                {
                    done[part]++;
                    running--;
                }
            }));

        Assert.All(done, times => Assert.Equal(1, times));
        Assert.InRange(most, 1, 2);
        Assert.InRange(nested.Count, 1, 2);
    }

    [Fact]
    public void For_ThreadWithoutCores_DoesPartsInOrder()
    {
        List<int> parts = [];
        Cores.For(5, parts.Add);

        Assert.Equal([0, 1, 2, 3, 4], parts);
    }

    [Fact]
    public void For_AllCoresBusy_StaysOnItsThread()
    {
        var threads = new HashSet<int>();
        new Cores(1).Each(1, _ => Cores.For(20, _ => threads.Add(Environment.CurrentManagedThreadId)));

        Assert.Equal([Environment.CurrentManagedThreadId], threads);
    }

    /// <summary>The error is the part's own, and the cores are idle again.</summary>
    [Fact]
    public void For_PartThatFails_ThrowsItsError()
    {
        var cores = new Cores(2);
        var error = Assert.Throws<InvalidDataException>(() =>
            cores.Each(1, _ => Cores.For(2, _ => throw new InvalidDataException("broken")))
        );

        Assert.Equal("broken", error.Message);
        using var together = new Barrier(2);
        cores.Each(1, _ =>
            Cores.For(2, _ => Assert.True(together.SignalAndWait(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken)))
        );
    }

    /// <summary>A lane that has ended leaves its core to those that go on.</summary>
    [Fact]
    public void Each_LaneThatEnds_LeavesItsCoreToTheOthers()
    {
        using var together = new Barrier(2);
        using var ended = new ManualResetEventSlim();
        var cores = new Cores(2);
        cores.Each(2, lane =>
        {
            if (lane == 0)
            {
                ended.Set();
                return;
            }

            Assert.True(ended.Wait(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken));
            SpinWait.SpinUntil(() => cores.Idle > 0);
            Cores.For(2, _ => Assert.True(together.SignalAndWait(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken)));
        });
    }

    [Fact]
    public void Each_MoreLanesThanCores_DoesEachOnceOnOneThreadOfLibtorch()
    {
        var done = new int[20];
        new Cores(2).Each(done.Length, lane =>
        {
            Interlocked.Increment(ref done[lane]);
            Assert.Equal(1, get_num_threads());
        });

        Assert.All(done, times => Assert.Equal(1, times));
    }

    [Fact]
    public void Each_LaneThatFails_ThrowsItsErrorAndBeginsNoOther()
    {
        var begun = 0;
        var error = Assert.Throws<InvalidDataException>(() => new Cores(1).Each(4, _ =>
            {
                begun++;
                throw new InvalidDataException("broken");
            }));

        Assert.Equal(("broken", 1), (error.Message, begun));
    }

    [Fact]
    public void For_Tensors_RecordsNoGradient()
    {
        var recorded = new bool[4];
        new Cores(4).Each(1, _ =>
        {
            using var noGrad = no_grad();
            Cores.For(4, part => recorded[part] = is_grad_enabled());
        });

        Assert.All(recorded, Assert.False);
    }
}

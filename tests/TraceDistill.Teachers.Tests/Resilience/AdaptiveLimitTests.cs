using TraceDistill.Teachers.Resilience;
using Xunit;

namespace TraceDistill.Teachers.Tests.Resilience;

public sealed class AdaptiveLimitTests
{
    [Fact]
    public void Current_AtFirst_IsTheCeilingOrWhatAnyServerBears()
    {
        Assert.Equal(4, new AdaptiveLimit(4).Current);
        Assert.Equal(64, new AdaptiveLimit(5000).Current);
    }

    [Fact]
    public void Current_ServerWithRoomForAll_GrowsToTheCeilingInAFewRounds()
    {
        var limit = new AdaptiveLimit(2000);

        new QueueingServer(slots: 5000).Work(limit, seconds: 60);

        // 64 doubles five times.
        Assert.Equal(2000, limit.Current);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(40)]
    [InlineData(100)]
    [InlineData(300)]
    public void Current_ServerThatQueues_StaysNearWhatItWorksOn(int slots)
    {
        var limit = new AdaptiveLimit(2000);
        var server = new QueueingServer(slots);

        var rate = server.Work(limit, seconds: 1000);

        // Enough to keep every slot busy, and no queue of more than two rounds.
        Assert.InRange(limit.Current, Math.Min(slots, 64), Math.Max(100, 3 * slots));
        Assert.InRange(rate / slots, 0.9, 1.01);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(150)]
    public void Current_ServerThatRefusesMore_StaysAtWhatItTakesAndIsSeldomRefused(int slots)
    {
        var limit = new AdaptiveLimit(2000);
        var server = new QueueingServer(slots, refuses: true);

        var rate = server.Work(limit, seconds: 500);

        Assert.InRange(rate / slots, 0.6, 1);
        Assert.InRange(server.Refused / (double)server.Answered, 0, 0.05);
    }

    [Fact]
    public void Current_ASetbackWhileTheLimitIsLow_IsMadeUpForInProportion()
    {
        var limit = new AdaptiveLimit(2000);
        limit.Overloaded(TimeSpan.Zero, TimeSpan.Zero);

        // A second a round: 44 grows by a twentieth, rounded down, and is past 2,000 after some 90 rounds.
        new QueueingServer(slots: 5000).Work(limit, seconds: 240);

        Assert.Equal(2000, limit.Current);
    }

    [Fact]
    public void TimedOut_OneOfMany_LeavesTheLimitAndSeveralCutIt()
    {
        var limit = new AdaptiveLimit(60);

        limit.TimedOut(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(81));
        Assert.Equal(60, limit.Current);
        limit.TimedOut(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(81));
        limit.TimedOut(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(81));
        limit.TimedOut(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(81));

        Assert.Equal(42, limit.Current);
    }

    [Fact]
    public void Overloaded_SeveralRequestsOfOneRound_CutOnce()
    {
        var limit = new AdaptiveLimit(30);

        for (var i = 0; i < 30; i++)
        {
            limit.Overloaded(sent: TimeSpan.FromSeconds(1), now: TimeSpan.FromSeconds(2));
        }

        Assert.Equal(21, limit.Current);
    }

    [Fact]
    public void Overloaded_AgainAndAgain_LeavesOne()
    {
        var limit = new AdaptiveLimit(30);

        for (var second = 0; second < 30; second++)
        {
            limit.Overloaded(TimeSpan.FromSeconds(second), TimeSpan.FromSeconds(second + 0.5));
        }

        Assert.Equal(1, limit.Current);
    }

    /// <summary>
    /// Works on so many requests at a time, one second and a hundred tokens each; the rest waits in line, or is refused at once.
    /// </summary>
    sealed class QueueingServer(int slots, bool refuses = false)
    {
        public int Answered { get; private set; }

        public int Refused { get; private set; }

        /// <returns>Requests answered a second in the last fifth of the time.</returns>
        public double Work(AdaptiveLimit limit, double seconds)
        {
            // Ends of the requests being worked on, and when each was sent.
            var working = new PriorityQueue<double, double>();
            var queue = new Queue<double>();
            var (now, late) = (0.0, 0);
            var jitter = new Random(5);
            while (now < seconds)
            {
                while (working.Count + queue.Count < limit.Current)
                {
                    if (working.Count < slots)
                    {
                        Begin(now);
                    }
                    else if (refuses)
                    {
                        Refused++;
                        limit.Overloaded(At(now), At(now));

                        // As the retry's delay does.
                        break;
                    }
                    else
                    {
                        queue.Enqueue(now);
                    }
                }

                working.TryDequeue(out var sent, out now);
                limit.Answered(At(sent), At(now), tokens: 100, working.Count + queue.Count + 1);
                Answered++;
                late += now > 0.8 * seconds ? 1 : 0;
                if (queue.TryDequeue(out var next))
                {
                    Begin(next);
                }
            }

            return late / (0.2 * seconds);

            void Begin(double sent) => working.Enqueue(sent, now + 0.95 + (0.1 * jitter.NextDouble()));

            static TimeSpan At(double second) => TimeSpan.FromSeconds(second);
        }
    }
}

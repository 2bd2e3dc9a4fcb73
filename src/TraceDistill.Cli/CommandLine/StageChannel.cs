using System.Text;
using System.Text.Json;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;

namespace TraceDistill.Cli.CommandLine;

/// <summary>
/// The end of a stage's process towards the run that started it: tells it by <see cref="StageEvent"/>s what a command of its own would
/// show.
/// </summary>
/// <param name="order">The run's order.</param>
/// <param name="output">Takes the events.</param>
sealed class StageChannel(StageOrder order, TextWriter output, TimeProvider timeProvider) : IRunObserver
{
    /// <summary>Between two reports of one activity, but for its last: more would only be read past.</summary>
    static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    readonly Lock _lock = new();
    string? _activity;
    long _told;

    /// <summary>The channel of this process; null for a command that no run started.</summary>
    public static StageChannel? OfThisProcess(TimeProvider timeProvider)
    {
        if (StageOrder.Take() is not { } order)
        {
            return null;
        }

        var encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        return new StageChannel(order, new StreamWriter(Console.OpenStandardOutput(), encoding) { NewLine = "\n" }, timeProvider);
    }

    /// <summary>Calls <paramref name="end"/> once the run asks for the end, or has ended itself: standard input closes then.</summary>
    public static void WhenRunCloses(Stream input, Action end)
    {
        var thread = new Thread(() =>
        {
            Span<byte> nothing = stackalloc byte[64];
            while (input.Read(nothing) > 0) { }

            end();
        })
        {
            IsBackground = true,
            Name = "run",
        };
        thread.Start();
    }

    /// <param name="folder">Where the stage writes.</param>
    public StageContext ContextOf(string folder) =>
        new()
        {
            Output = folder,
            Published = order.Published,
            RunDirectory = order.RunDirectory,
            Observer = this,
            TimeProvider = timeProvider,
        };

    public void Progress(string activity, long done, long? total, string unit, string? note = null)
    {
        lock (_lock)
        {
            var now = timeProvider.GetTimestamp();
            if (activity == _activity && done != total && timeProvider.GetElapsedTime(_told, now) < Interval)
            {
                return;
            }

            (_activity, _told) = (activity, now);
        }

        Tell(new StageProgress(activity, done, total, unit, note));
    }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) => Tell(new StageMetrics(step, values));

    public void Message(string text) => Tell(new StageMessage(text));

    public void Result(object summary) =>
        Tell(new StageDone(JsonSerializer.SerializeToNode(summary, JsonFile.Document), PeakMemory.Read()));

    public void Failure(int exitCode, string message) => Tell(new StageFailed(exitCode, message));

    /// <summary>Where nobody listens any more, the run has ended, which <see cref="WhenRunCloses"/> tells of.</summary>
    void Tell(StageEvent told)
    {
        lock (_lock)
        {
            try
            {
                output.WriteLine(told.ToLine());
                output.Flush();
            }
            catch (IOException) { }
        }
    }
}

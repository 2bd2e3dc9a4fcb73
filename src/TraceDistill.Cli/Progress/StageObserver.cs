using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Progress;

/// <summary>
/// Passes on what one stage tells: progress and messages to the console under its name, metrics to <c>metrics.jsonl</c> and TensorBoard.
/// </summary>
/// <param name="stage">The stage's name, or null for a verb that runs by itself.</param>
/// <param name="metrics">Null where there is no folder to write to.</param>
/// <param name="tensorBoardFolder">Where the stage's event files go; made with the first metrics.</param>
sealed class StageObserver(string? stage, IRunObserver console, MetricsLog? metrics, string? tensorBoardFolder, TimeProvider timeProvider)
    : IRunObserver,
        IDisposable
{
    /// <summary>Stands between a stage's name and what it does.</summary>
    const string Separator = ": ";

    /// <summary>
    /// The stage whose activity this is, as the console is notified of it; empty for a verb that
    /// runs by itself. Each stage does one thing at a time.
    /// </summary>
    public static string StageOf(string activity) =>
        activity.IndexOf(Separator, StringComparison.Ordinal) is >= 0 and var end ? activity[..end] : "";

    readonly Lock _lock = new();
    TensorBoardWriter? _tensorBoard;
    bool _hasBegun;

    public void Progress(string activity, long done, long? total, string unit, string? note = null) =>
        console.Progress(stage is null ? activity : stage + Separator + activity, done, total, unit, note);

    public void Metrics(long step, IReadOnlyDictionary<string, double> values)
    {
        lock (_lock)
        {
            if (!_hasBegun)
            {
                // A stage that goes on from a checkpoint repeats the steps after it.
                metrics?.Rewind(stage ?? "", step, values.Keys);
                _tensorBoard = tensorBoardFolder is null ? null : new TensorBoardWriter(tensorBoardFolder, timeProvider);
                _hasBegun = true;
            }

            metrics?.Append(stage ?? "", step, values);
            _tensorBoard?.Write(step, values);
        }
    }

    public void Message(string text) => console.Message(stage is null ? text : $"{stage}: {text}");

    public void Message(IReadOnlyList<TextStretch> text) =>
        console.Message(stage is null ? text : [new TextStretch($"{stage}: ", IsEmphasised: false), .. text]);

    public void Dispose() => _tensorBoard?.Dispose();
}

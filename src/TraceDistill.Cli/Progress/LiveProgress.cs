using Spectre.Console;
using Spectre.Console.Rendering;
using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Progress;

/// <summary>Progress bars on a terminal, a line for each stage that is running; messages scroll by above them.</summary>
sealed class LiveProgress : IRunObserver, IAsyncDisposable
{
    const int WidthForBar = 90;
    const int WidthForAll = 70;
    readonly IAnsiConsole _console;
    readonly TimeProvider _timeProvider;
    readonly Lock _lock = new();
    readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly Task _drawing;
    readonly bool _isNarrow;
    ProgressContext? _context;
    readonly Dictionary<string, Bar> _bars = [];

    public LiveProgress(IAnsiConsole console, TimeProvider timeProvider)
    {
        _console = console;
        _timeProvider = timeProvider;
        _isNarrow = console.Profile.Width < WidthForAll;
        ProgressColumn[] columns =
            console.Profile.Width >= WidthForBar
                ? [new SpinnerColumn(), new ProgressBarColumn { Width = 24 }, new PercentageColumn(), new TextColumn()]
                : [new PercentageColumn(), new TextColumn()];
        _drawing = console
            .Progress()
            .AutoClear(true)
            .ExcludeVerticalPadding()
            .Columns(columns)
            .StartAsync(context =>
            {
                _context = context;
                return _finished.Task;
            });
    }

    public void Progress(string activity, long done, long? total, string unit, string? note = null)
    {
        lock (_lock)
        {
            var stage = StageObserver.StageOf(activity);
            if (!_bars.TryGetValue(stage, out var bar) || bar.Activity != activity)
            {
                Clear(bar);
                _bars[stage] = bar = new Bar(activity, new RateEstimator(_timeProvider));
            }

            var (rate, task) = (bar.Rate, bar.Task ??= _context!.AddTask(Markup.Escape(activity)));
            rate.Add(done);
            task.IsIndeterminate = total is null;
            task.MaxValue = Math.Max(total ?? 1, 1);
            task.Value = total is null ? 0 : Math.Min(done, total.Value);
            task.Description = _isNarrow
                ? $"{ProgressText.Short(done, total, unit, rate)} · {activity}"
                : $"{activity}: {ProgressText.Of(done, total, unit, rate, note)}";
        }
    }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

    public void Message(string text)
    {
        lock (_lock)
        {
            Clear();
            _console.WriteLine(VisibleText.Of(text));
        }
    }

    /// <remarks>Colours are off where the terminal has none, and where NO_COLOR is set.</remarks>
    public void Message(IReadOnlyList<TextStretch> text)
    {
        lock (_lock)
        {
            Clear();
            _console.Write(new Stretches(text, _console.Profile.Capabilities.ColorSystem != ColorSystem.NoColors));
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            Clear();
        }

        _finished.TrySetResult();
        await _drawing;
    }

    /// <summary>Takes all bars away; those of stages that go on come back with their next step.</summary>
    void Clear()
    {
        foreach (var bar in _bars.Values)
        {
            Clear(bar);
        }
    }

    void Clear(Bar? bar)
    {
        if (bar?.Task is { } task)
        {
            task.StopTask();
            _context!.RemoveTask(task);
            bar.Task = null;

            // Blanks the line: what is printed next begins on it, and would leave its end standing.
            _context.Refresh();
        }
    }

    /// <summary>Activity of a stage.</summary>
    sealed class Bar(string activity, RateEstimator rate)
    {
        public string Activity { get; } = activity;

        public RateEstimator Rate { get; } = rate;

        /// <summary>The bar as it is drawn; null while a message took its place.</summary>
        public ProgressTask? Task { get; set; }
    }

    /// <summary>The activity in words.</summary>
    sealed class TextColumn : ProgressColumn
    {
        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) => new OneLine(task.Description);
    }

    /// <summary>
    /// A text that never takes more than the width it is given: Spectre's own <see cref="Text"/> takes that of its neighbours, or wraps.
    /// </summary>
    sealed class OneLine(string text) : IRenderable
    {
        const string Cut = "…";

        public Measurement Measure(RenderOptions options, int maxWidth) => new(1, Math.Min(text.Length, maxWidth));

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
            [new Segment(text.Length <= maxWidth ? text : text[..Math.Max(0, maxWidth - Cut.Length)] + Cut)];
    }
}

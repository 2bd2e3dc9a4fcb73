using Spectre.Console;
using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Progress;

/// <summary>
/// Puts the messages of a verb whose messages are its result on standard output, so that they can be piped; progress stays where it is.
/// </summary>
/// <param name="output">Standard output.</param>
/// <param name="isTerminal">True where it may have colours.</param>
/// <param name="progress">Shows progress.</param>
sealed class ResultPrinter(TextWriter output, bool isTerminal, IRunObserver progress) : IRunObserver
{
    public void Progress(string activity, long done, long? total, string unit, string? note = null) =>
        progress.Progress(activity, done, total, unit, note);

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) => progress.Metrics(step, values);

    public void Message(string text) => output.WriteLine(text);

    /// <remarks>Colours are off where the terminal has none, and where NO_COLOR is set.</remarks>
    public void Message(IReadOnlyList<TextStretch> text)
    {
        if (!isTerminal)
        {
            output.WriteLine(TextStretch.Marked(text));
            return;
        }

        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) });
        console.Write(new Stretches(text, console.Profile.Capabilities.ColorSystem != ColorSystem.NoColors));
    }
}

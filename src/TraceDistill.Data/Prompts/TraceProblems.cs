using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Prompts;

/// <summary>The problems that traces are of, for prompts that show more of them than the traces hold.</summary>
public sealed class TraceProblems
{
    readonly Dictionary<string, Problem>? _known;
    readonly string _setting,
        _files;

    TraceProblems(Dictionary<string, Problem>? known, string setting, string files) => (_known, _setting, _files) = (known, setting, files);

    /// <summary>Reads the files of a setting.</summary>
    /// <param name="files">Without any, what the traces tell of their problems is all: question and answer, and no solution.</param>
    /// <param name="fields">Names of their fields.</param>
    /// <param name="setting">Names the files in errors.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">A file cannot be read.</exception>
    public static async Task<TraceProblems> ReadAsync(
        IReadOnlyList<string> files,
        ProblemReaderOptions fields,
        string setting,
        CancellationToken cancellationToken
    )
    {
        var known = files.Count == 0 ? null : new Dictionary<string, Problem>();
        foreach (var file in files)
        {
            await foreach (var problem in ProblemReader.ReadAsync(file, fields, cancellationToken: cancellationToken))
            {
                known![problem.Id] = problem;
            }
        }

        return new TraceProblems(known, setting, string.Join(", ", files));
    }

    /// <summary>The problem of a trace. May be called from several threads.</summary>
    /// <exception cref="InvalidInputException">It is not in the files.</exception>
    public Problem Of(Trace trace) =>
        _known is null
            ? new Problem
            {
                Id = trace.ProblemId,
                Text = trace.Messages.Count > 0 ? trace.Messages[^1].Content : "",
                Earlier = [.. trace.Messages.SkipLast(1)],
                Answer = trace.ExpectedAnswer,
                Family = trace.Source,
            }
        : _known.TryGetValue(trace.ProblemId, out var problem) ? problem
        : throw new InvalidInputException(
            $"{_setting}: problem {trace.ProblemId} of trace {trace.Id} is not in {_files}; name the files that the traces were "
                + "collected from"
        );
}

using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Evaluation;

/// <summary>Problems that models are measured by.</summary>
static class EvaluatedProblems
{
    /// <param name="path">The problem file.</param>
    /// <param name="fields">Names of its fields.</param>
    /// <param name="limit">Only the first so many of them; null for all.</param>
    /// <param name="observer">Takes what is to be said about the file.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    /// <exception cref="InvalidInputException">The file is wrong, or none of these problems has an answer.</exception>
    public static async Task<List<Problem>> ReadAsync(
        string path,
        ProblemReaderOptions fields,
        int? limit,
        IRunObserver observer,
        CancellationToken cancellationToken
    )
    {
        var counts = new ProblemCounts();
        var problems = await ProblemReader.ReadAsync(path, fields, counts, cancellationToken).ToListAsync(cancellationToken);
        foreach (var message in counts.Describe(path))
        {
            observer.Message(message);
        }

        List<Problem> asked = [.. problems.Take(limit ?? int.MaxValue)];
        var first = asked.Count < problems.Count ? "first " : "";
        return asked.Exists(problem => problem.Answer.Length > 0)
            ? asked
            : throw new InvalidInputException(
                $"{path}: none of the {first}{asked.Count:N0} problems has an answer "
                    + "to measure by; name the field that holds it with answer_field"
            );
    }
}

using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Prompts;

/// <summary>Solved problems that are shown before a problem.</summary>
sealed class FewShotExamples
{
    /// <param name="solved">Solved problems to choose from.</param>
    /// <param name="count">Examples for each problem.</param>
    public FewShotExamples(IReadOnlyList<Problem> solved, int count) => (Solved, Count) = (solved, count);

    /// <summary>Solved problems that are chosen from.</summary>
    public IReadOnlyList<Problem> Solved { get; }

    /// <summary>Examples for each problem.</summary>
    public int Count { get; }

    /// <param name="path">The file.</param>
    /// <param name="count">Examples for each problem.</param>
    /// <param name="fields">Names of its fields: as those of the problems, whose data set the examples are mostly a part of.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">The file cannot be read, or holds too few.</exception>
    public static async Task<FewShotExamples> ReadAsync(
        string path,
        int count,
        ProblemReaderOptions fields,
        CancellationToken cancellationToken
    )
    {
        var solved = await ProblemReader
            .ReadAsync(path, fields, cancellationToken: cancellationToken)
            .Where(problem => problem.Answer.Length > 0)
            .DistinctBy(problem => problem.Text)
            .ToListAsync(cancellationToken);

        // Two more, since a problem is never shown with its own solution: neither the one of its id nor the one of its text.
        return solved.Count >= count + 2
            ? new FewShotExamples(solved, count)
            : throw new InvalidInputException(
                $"few_shot: {path} holds {solved.Count} different problems with answers, and {count} examples need {count + 2} "
                    + "to choose from; lower few_shot_count or add some"
            );
    }

    /// <summary>
    /// The examples for a problem, the same at every call: drawn without repetition by a hash of its id, never the problem itself.
    /// </summary>
    public IEnumerable<(Problem Problem, string Answer)> For(Problem problem)
    {
        var (drawn, seed) = (new HashSet<int>(), Encoding.UTF8.GetBytes($"example {problem.Id}"));
        for (var draw = SHA256.HashData(seed); drawn.Count < Count; draw = SHA256.HashData(draw))
        {
            var index = (int)(BinaryPrimitives.ReadUInt64LittleEndian(draw) % (ulong)Solved.Count);
            var example = Solved[index];
            if (example.Id != problem.Id && example.Text != problem.Text && drawn.Add(index))
            {
                yield return (example, AnswerTo(example));
            }
        }
    }

    static string AnswerTo(Problem example) =>
        $"{(example.Solution is { } solution ? solution.Trim() + "\n\n" : "")}\\boxed{{{example.Answer}}}";
}

using TraceDistill.Core.Problems;
using TraceDistill.Core.Tokenization;
using TraceDistill.Teachers.Prompts;

namespace TraceDistill.Cli.Commands;

/// <summary>How long the longest prompts of a problem file are in a model's tokens.</summary>
/// <param name="Problems">Problems that were looked at.</param>
/// <param name="Longest">Tokens of the longest prompts, the longest first.</param>
sealed record PromptLengths(int Problems, IReadOnlyList<int> Longest)
{
    /// <summary>Of a file with more problems the first are looked at.</summary>
    const int MostProblems = 200_000;

    /// <summary>Only the longest texts are worth encoding.</summary>
    const int Measured = 64;

    /// <param name="path">The problem file.</param>
    /// <param name="limit">Only the first so many; null for all.</param>
    /// <param name="prompts">In which words they are put.</param>
    /// <param name="modelDirectory">Has the tokenizer and the chat template.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <returns>Null where the model's folder has no tokenizer with a chat template.</returns>
    /// <exception cref="Core.Errors.InvalidInputException">A file is wrong.</exception>
    public static async Task<PromptLengths?> MeasureAsync(string path, int? limit, PromptSet prompts, string modelDirectory, CancellationToken cancellationToken)
    {
        if (!File.Exists(Path.Combine(modelDirectory, Tokenizer.FileName)) || Tokenizer.Load(modelDirectory) is not { ChatTemplateSource: not null } tokenizer)
        {
            return null;
        }

        var template = ChatTemplate.Load(modelDirectory);
        var problems = await ProblemReader.ReadAsync(path, cancellationToken).Take(Math.Min(limit ?? MostProblems, MostProblems)).ToListAsync(cancellationToken);
        var lengths = problems.OrderByDescending(problem => problem.Text.Length).Take(Measured)
            .Select(problem => tokenizer.Encode(template.Render(prompts.For(problem).Messages(0), addGenerationPrompt: true)).Length);
        return new PromptLengths(problems.Count, [.. lengths.OrderDescending()]);
    }

    /// <summary>Number of prompts that leave no room for an answer.</summary>
    public int TooLongFor(int positions) => Longest.Count(length => length >= positions);

    /// <summary>That number in words: of many only the longest were measured.</summary>
    public string CountOf(int tooLong) => $"{(tooLong == Measured ? "at least " : "")}{tooLong:N0} of {Problems:N0} prompts";
}

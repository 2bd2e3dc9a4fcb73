using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Cli.Evaluation;

/// <summary>Lengths and special tokens of the prompts of a problem file, by a model's tokenizer, before any is sent.</summary>
/// <param name="Problems">Problems that were looked at.</param>
/// <param name="Longest">Tokens of the longest prompts, the longest first.</param>
/// <param name="SpecialTokens">A remark on special tokens that stand written in problems; null where there are none.</param>
sealed record PromptFacts(int Problems, IReadOnlyList<int> Longest, string? SpecialTokens)
{
    /// <summary>Of a file with more problems the first are looked at.</summary>
    const int MostProblems = 200_000;

    /// <summary>Only the longest texts are worth encoding.</summary>
    const int Measured = 64;

    /// <param name="path">The problem file.</param>
    /// <param name="fields">Names of its fields.</param>
    /// <param name="limit">Only the first so many; null for all.</param>
    /// <param name="prompts">In which words they are put.</param>
    /// <param name="modelDirectory">Has the tokenizer and the chat template.</param>
    /// <param name="model">The model's name in messages, such as <c>the teacher</c>.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <returns>Null where the model's folder has no tokenizer with a chat template.</returns>
    /// <exception cref="InvalidInputException">A file is wrong.</exception>
    public static async Task<PromptFacts?> FindAsync(
        string path,
        ProblemReaderOptions fields,
        int? limit,
        PromptSet prompts,
        string modelDirectory,
        string model,
        CancellationToken cancellationToken
    )
    {
        if (
            !File.Exists(Path.Combine(modelDirectory, Tokenizer.FileName))
            || Tokenizer.Load(modelDirectory) is not { ChatTemplateSource: not null } tokenizer
        )
        {
            return null;
        }

        var template = ChatTemplate.Load(modelDirectory);
        var problems = await ProblemReader
            .ReadAsync(path, fields, cancellationToken: cancellationToken)
            .Take(Math.Min(limit ?? MostProblems, MostProblems))
            .ToListAsync(cancellationToken);
        var specials = new SpecialTokensInText(tokenizer);
        foreach (var problem in problems)
        {
            specials.Look(problem.Conversation(), problem.Id);
        }

        var configuration = Path.Combine(modelDirectory, ModelConfiguration.FileName);
        var pictures = File.Exists(configuration) ? ModelConfiguration.Load(modelDirectory).Pictures : null;
        var lengths = Lengths(
                problems,
                problem => prompts.For(pictures is null ? problem : problem.ByPicture()).Messages(0),
                tokenizer,
                template,
                pictures
            )
            .Select(prompt => prompt.Tokens);
        return new PromptFacts(problems.Count, [.. lengths.OrderDescending()], specials.Describe(model));
    }

    /// <summary>Lengths of the prompts of those problems that have the longest texts.</summary>
    /// <param name="problems">All problems.</param>
    /// <param name="render">The conversation that puts a problem.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="template">The model's.</param>
    /// <param name="pictures">The model's encoder of pictures, whose place is in each conversation; null for one that reads text.</param>
    public static IEnumerable<(Problem Problem, int Tokens)> Lengths(
        IEnumerable<Problem> problems,
        Func<Problem, IReadOnlyList<ChatMessage>> render,
        Tokenizer tokenizer,
        ChatTemplate template,
        PictureEncoderSettings? pictures
    ) =>
        WithLongestTexts(problems)
            .Select(problem =>
                (problem, PicturePrompt.Encode(tokenizer, template.Render(render(problem), addGenerationPrompt: true), pictures).Length)
            );

    /// <summary>The problems whose prompts may be the longest.</summary>
    public static IEnumerable<Problem> WithLongestTexts(IEnumerable<Problem> problems) =>
        problems.OrderByDescending(problem => problem.Conversation().Sum(turn => turn.Content.Length)).Take(Measured);

    /// <summary>Number of prompts that leave no room for an answer.</summary>
    public int TooLongFor(int positions) => Longest.Count(length => length >= positions);

    /// <summary>That number in words: of many only the longest were measured.</summary>
    public string CountOf(int tooLong) => $"{(tooLong == Measured ? "at least " : "")}{tooLong:N0} of {Problems:N0} prompts";
}

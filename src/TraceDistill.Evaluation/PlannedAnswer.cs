using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Determinism;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Evaluation;

/// <summary>One answer that an evaluation needs.</summary>
/// <param name="Problem">Problem that is asked.</param>
/// <param name="SampleIndex">0 is the greedy answer.</param>
/// <param name="Request">How it is asked; its id names the answer on disk.</param>
sealed record PlannedAnswer(Problem Problem, int SampleIndex, GenerationRequest Request)
{
    /// <summary>
    /// All answers one model owes, by problem and then by sample index: the order of everything that is computed or written.
    /// </summary>
    public static IReadOnlyList<PlannedAnswer> For(EvaluatedModel model, IReadOnlyList<Problem> problems, EvaluateOptions options)
    {
        var sampled = options.Samples == 0 ? [] : EvenlySpaced(problems.Count, options.SampledProblems ?? problems.Count);
        return
        [
            .. problems.SelectMany(
                (problem, index) =>
                    Enumerable
                        .Range(0, sampled.Contains(index) ? options.Samples + 1 : 1)
                        .Select(sample => Plan(model, problem, sample, options))
            ),
        ];
    }

    static PlannedAnswer Plan(EvaluatedModel model, Problem problem, int sample, EvaluateOptions options)
    {
        var messages = model.Asked.Render(problem, sample);
        var picture = model.Asked.ByPicture ? PictureOf(model, problem) : null;
        var identity = (model.Identity ?? model.Name) + (picture is null ? "" : $" {DigestOf(picture)}");
        var sampling = new SamplingSettings
        {
            Temperature = sample == 0 ? 0 : options.Temperature,
            TopP = sample == 0 ? 1 : options.TopP,
            MaxTokens = model.Asked.MaxTokens,
            Seed = SeedOf(options.Seed, problem.Id, sample),
            ExtraBody = model.Asked.ExtraBody,
        };
        return new PlannedAnswer(
            problem,
            sample,
            new GenerationRequest(TraceId.Create(problem.Id, messages, identity, sampling, sample), messages, sampling)
            {
                Picture = picture,
            }
        );
    }

    static string PictureOf(EvaluatedModel model, Problem problem) =>
        problem.Picture
        ?? throw new InvalidInputException(
            $"{model.Name}: looks at pictures, and problem {problem.Id} has none: give each problem one in the field picture "
                + "(problems draws them with pictures: true)"
        );

    /// <summary>Answers to another picture are others.</summary>
    static string DigestOf(string picture)
    {
        InputFile.EnsureReadable(picture);
        return Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(picture)));
    }

    static HashSet<int> EvenlySpaced(int count, int wanted)
    {
        var kept = Math.Min(count, wanted);
        return [.. Enumerable.Range(0, kept).Select(i => (int)((long)i * count / kept))];
    }

    /// <summary>
    /// A seed of 31 bits, which every server takes, that depends on nothing but the run's seed, the problem and the sample.
    /// </summary>
    static long SeedOf(long seed, string problemId, int sample)
    {
        var mixed = new SplitMix64((ulong)seed).Next();
        foreach (var part in Encoding.UTF8.GetBytes(problemId).Append((byte)0))
        {
            mixed = new SplitMix64(mixed ^ part).Next();
        }

        return (long)(new SplitMix64(mixed ^ (ulong)sample).Next() >> 33);
    }
}

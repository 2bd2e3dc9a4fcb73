using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Problems.Families;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Problems;

/// <summary>Makes reasoning problems with worked solutions, balanced over families and reproducible from a seed.</summary>
/// <remarks>
/// There are more than 10⁷ distinct problems: column addition of two four-digit numbers alone has 9000 · 9001 / 2 = 40,504,500 that differ
/// in what they ask, sorting five two-digit numbers C(90, 5) · 2 = 87,898,536. Each comes in several phrasings with many solutions.
/// Each family draws from its own random stream, so a family's problems do not depend on which others are asked for, and a smaller set is
/// the beginning of a larger one.
/// </remarks>
public static class ProblemGenerator
{
    /// <summary>Draws in a row that may repeat a problem before a family counts as exhausted.</summary>
    const int MaxRepeats = 20_000;

    /// <summary>Stands for every family in a list of names.</summary>
    public const string AllFamilies = "all";

    /// <summary>All families, in the order in which they take turns.</summary>
    public static IReadOnlyList<IProblemFamily> Families { get; } =
    [
        new Addition(),
        new Subtraction(),
        new Multiplication(),
        new Division(),
        new Comparison(),
        new Sorting(),
        new Modular(),
        new Clock(),
        new Equation(),
        new Sequence(),
        new TwoStepStory(),
        new LongStory(),
    ];

    /// <summary>The names of all families.</summary>
    public static IReadOnlyList<string> FamilyNames { get; } = [.. Families.Select(family => family.Name)];

    /// <summary>Generates problems that all ask different things, the families taking turns.</summary>
    /// <param name="families">Family names; <c>all</c> stands for every family.</param>
    /// <param name="count">Number of problems in all.</param>
    /// <exception cref="InvalidInputException">A name is unknown, the list is empty, or a family has too few distinct problems.</exception>
    public static IReadOnlyList<Problem> Generate(IReadOnlyList<string> families, int count, int seed, ProblemSplit split)
    {
        if (count < 1)
        {
            throw new InvalidInputException($"count: {count} problems cannot be generated; ask for at least 1");
        }
        var sources = Resolve(families).Select(family => new Source(family, seed, split)).ToArray();
        return [.. Enumerable.Range(0, count).Select(i => sources[i % sources.Length].NextNew())];
    }

    /// <summary>An endless stream for pretraining, the families taking turns; problems may come again with other solutions.</summary>
    /// <inheritdoc cref="Generate" path="/param"/>
    /// <exception cref="InvalidInputException">A name is unknown or the list is empty.</exception>
    public static IEnumerable<Problem> Stream(IReadOnlyList<string> families, long seed, ProblemSplit split)
    {
        var resolved = Resolve(families);
        return Endless();

        IEnumerable<Problem> Endless()
        {
            var sources = resolved.Select(family => new Source(family, seed, split)).ToArray();
            for (var i = 0; ; i = (i + 1) % sources.Length)
            {
                yield return sources[i].Next();
            }
        }
    }

    internal static IProblemFamily[] Resolve(IReadOnlyList<string> names)
    {
        if (names.Count == 0)
        {
            throw new InvalidInputException($"family: none given; use all or some of {string.Join(", ", FamilyNames)}");
        }
        return [.. names.SelectMany(name => name == AllFamilies ? Families : [Find(name)]).Distinct()];
    }

    static IProblemFamily Find(string name) =>
        Families.FirstOrDefault(family => family.Name == name)
        ?? throw new InvalidInputException($"family: \"{name}\" is not known; {NearestName.Suggestion(name, FamilyNames)}");

    internal static Problem ToProblem(IProblemFamily family, ProblemDraft draft) =>
        new()
        {
            Id = ProblemId.Of(draft.Text),
            Text = draft.Text,
            Answer = draft.Answer,
            Solution = draft.Solution,
            Spans = draft.Spans,
            Family = family.Name,
        };

    /// <summary>One family's random stream on one side of the split.</summary>
    sealed class Source(IProblemFamily family, long seed, ProblemSplit split)
    {
        readonly Random _random = new(
            BinaryPrimitives.ReadInt32LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed} {family.Name}")))
        );
        readonly HashSet<string> _seen = [];

        public Problem Next() => ToProblem(family, Draw());

        public Problem NextNew()
        {
            for (var repeats = 0; repeats < MaxRepeats; repeats++)
            {
                var draft = Draw();
                if (_seen.Add(draft.Key))
                {
                    return ToProblem(family, draft);
                }
            }

            throw new InvalidInputException(
                $"count: family {family.Name} has no more than about {_seen.Count} "
                    + "distinct problems on this side of the split; ask for fewer or add families"
            );
        }

        ProblemDraft Draw()
        {
            while (true)
            {
                var draft = family.Draw(_random);
                if (ProblemSplits.Of(family.Name, draft.Key) == split)
                {
                    return draft;
                }
            }
        }
    }
}

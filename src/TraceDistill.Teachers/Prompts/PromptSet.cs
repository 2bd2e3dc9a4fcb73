using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Prompts;

/// <summary>
/// The conversations that a collection asks in: one prompt or several by weight, with a system message and solved examples where wanted.
/// </summary>
/// <remarks>What a sample is asked depends on the run's seed, the problem and the sample's index alone, never on scheduling.</remarks>
public sealed class PromptSet
{
    readonly IReadOnlyList<(PromptTemplate Template, double Weight)> _prompts;
    readonly string? _system;
    readonly FewShotExamples? _examples;
    readonly long _seed;

    /// <param name="prompts">At least one, with weights above 0.</param>
    /// <param name="system">Goes first; null where the prompts have their own, or none is wanted.</param>
    /// <param name="examples">Shown before the problem; null for none.</param>
    /// <param name="seed">Of the run.</param>
    internal PromptSet(
        IReadOnlyList<(PromptTemplate Template, double Weight)> prompts,
        string? system,
        FewShotExamples? examples,
        long seed
    )
    {
        (_prompts, _system, _examples, _seed) = (prompts, system, examples, seed);
        var names =
            prompts.Count == 1
                ? prompts[0].Template.Name
                : string.Join(", ", prompts.Select(prompt => FormattableString.Invariant($"{prompt.Template.Name}: {prompt.Weight}")));
        Name = names + (system is null ? "" : ", with a system message") + (examples is null ? "" : $", with {examples.Count} examples");
    }

    /// <summary>Name of the prompts in the data set: of a single one as it is, its name.</summary>
    public string Name { get; }

    /// <exception cref="InvalidInputException">A prompt or the examples cannot be used.</exception>
    public static async Task<PromptSet> CreateAsync(GenerateOptions options, CancellationToken cancellationToken)
    {
        var prompts = options.PromptNames().Select(name => (PromptLibrary.Default.Load(name), options.Prompts.GetValueOrDefault(name, 1)));
        var examples = options.FewShot is { } file
            ? await FewShotExamples.ReadAsync(file, options.FewShotCount, options, cancellationToken)
            : null;
        return await CreateAsync(prompts, options.System, examples, options.Seed, cancellationToken);
    }

    /// <summary>Puts problems as a task does.</summary>
    /// <param name="task">The task.</param>
    /// <param name="origin">Folder in which it stands, for messages.</param>
    /// <param name="seed">Of the run.</param>
    /// <param name="cancellationToken">Ends the parsing.</param>
    /// <exception cref="InvalidInputException">A prompt cannot be used.</exception>
    public static Task<PromptSet> CreateAsync(
        TaskDescription task,
        string origin,
        long seed,
        CancellationToken cancellationToken = default
    ) =>
        CreateAsync(
            task.Prompts.Select(prompt => (prompt.ToSource(origin), prompt.Weight)),
            task.System,
            task.FewShot is { } examples ? new FewShotExamples(examples.Solved, examples.Count) : null,
            seed,
            cancellationToken
        );

    /// <summary>The task that a collection with these options sets.</summary>
    /// <exception cref="InvalidInputException">A prompt or the examples cannot be used.</exception>
    public static async Task<TaskDescription> TaskOfAsync(GenerateOptions options, CancellationToken cancellationToken = default) =>
        new()
        {
            Prompts = [.. options.PromptNames().Select(name => TaskPrompt.Load(name, options.Prompts.GetValueOrDefault(name, 1)))],
            System = options.System,
            FewShot = options.FewShot is { } file ? await ExamplesAsync(file, options.FewShotCount, options, cancellationToken) : null,
            ExtraBody = ExtraBody.Canonical(options.ExtraBody),
            MaxTokens = options.MaxTokens,
        };

    /// <summary>Solved problems of a file, to be shown before each problem.</summary>
    /// <param name="path">The file.</param>
    /// <param name="count">Number of examples shown.</param>
    /// <param name="fields">Names of its fields.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">The file cannot be read, or holds too few.</exception>
    public static async Task<TaskExamples> ExamplesAsync(
        string path,
        int count,
        ProblemReaderOptions fields,
        CancellationToken cancellationToken = default
    ) => new(count, (await FewShotExamples.ReadAsync(path, count, fields, cancellationToken)).Solved);

    static async Task<PromptSet> CreateAsync(
        IEnumerable<(PromptSource Source, double Weight)> sources,
        string? system,
        FewShotExamples? examples,
        long seed,
        CancellationToken cancellationToken
    )
    {
        var prompts = new List<(PromptTemplate, double)>();
        foreach (var (source, weight) in sources)
        {
            var template = await PromptTemplate.CreateAsync(source, cancellationToken);
            if (system is not null && template.HasSystemMessage)
            {
                throw new InvalidInputException(
                    $"system: prompt {template.Name} has a system message of its own; leave out one of the two"
                );
            }

            prompts.Add((template, weight));
        }

        return new PromptSet(prompts, system, examples, seed);
    }

    /// <summary>The conversations about a problem.</summary>
    public ProblemPrompts For(Problem problem) => new(this, problem);

    int Choose(Problem problem, int sample)
    {
        if (_prompts.Count == 1)
        {
            return 0;
        }

        var input = Encoding.UTF8.GetBytes($"prompt {_seed} {sample} {problem.Id}");
        var drawn = BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(input)) / Math.Pow(2, 64);
        var point = drawn * _prompts.Sum(prompt => prompt.Weight);
        var chosen = 0;
        while (chosen < _prompts.Count - 1 && point >= _prompts[chosen].Weight)
        {
            point -= _prompts[chosen++].Weight;
        }

        return chosen;
    }

    IReadOnlyList<ChatMessage> Render(int prompt, Problem problem) =>
        _system is null && _examples is null
            ? _prompts[prompt].Template.Render(problem)
            : _prompts[prompt].Template.Render(problem, _system, _examples?.For(problem) ?? []);

    /// <summary>The conversations about one problem; each prompt is rendered once.</summary>
    public readonly struct ProblemPrompts(PromptSet prompts, Problem problem)
    {
        readonly IReadOnlyList<ChatMessage>?[] _rendered = new IReadOnlyList<ChatMessage>?[prompts._prompts.Count];

        public IReadOnlyList<ChatMessage> Messages(int sample)
        {
            var chosen = prompts.Choose(problem, sample);
            return _rendered[chosen] ??= prompts.Render(chosen, problem);
        }
    }
}

using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Prompts;

/// <summary>A prompt that turns a problem into the turns of a conversation.</summary>
/// <remarks>
/// Semantic Kernel's template engine renders the template once, with a marker as its argument <c>problem</c>, and Semantic Kernel's chat
/// syntax (<c>&lt;message role="user"&gt;</c>) parts the result into turns. A problem then takes the marker's place in the finished turns.
/// So a problem stays text to the letter: nothing in it is read as a turn, a template or an entity, and no character is lost to XML.
/// </remarks>
public sealed partial class PromptTemplate
{
    const string Argument = "problem";
    const string SolutionArgument = "solution";
    const string AnswerArgument = "answer";

    // Letters alone: neither the template engine nor XML has a reason to touch them.
    const string Marker = "TheTextOfTheProblemStandsHere";
    const string SolutionMarker = "TheSolutionOfTheProblemStandsHere";
    const string AnswerMarker = "TheAnswerOfTheProblemStandsHere";

    static readonly string[] Roles = ["system", "user", "assistant"];

    readonly IReadOnlyList<ChatMessage> _turns;

    PromptTemplate(string name, IReadOnlyList<ChatMessage> turns)
    {
        Name = name;
        _turns = turns;
        ShowsSolution = turns.Any(turn => turn.Content.Contains(SolutionMarker, StringComparison.Ordinal));
        ShowsAnswer = turns.Any(turn => turn.Content.Contains(AnswerMarker, StringComparison.Ordinal));
    }

    /// <summary><c>Plugin/Function</c>.</summary>
    public string Name { get; }

    /// <exception cref="InvalidInputException">
    /// The prompt's files do not make a conversation with the problem in it; names the prompt and the file.
    /// </exception>
    public static Task<PromptTemplate> CreateAsync(PromptSource source, CancellationToken cancellationToken = default) =>
        CreateAsync(source, isPrivileged: false, cancellationToken);

    /// <param name="source">Its files.</param>
    /// <param name="isPrivileged">
    /// True where it may show <c>$solution</c> and <c>$answer</c>, for a reader that is to know them and is not asked for them.
    /// </param>
    /// <param name="cancellationToken">Ends the parsing.</param>
    /// <exception cref="InvalidInputException">
    /// The prompt's files do not make a conversation with the problem in it; names the prompt and the file.
    /// </exception>
    public static async Task<PromptTemplate> CreateAsync(
        PromptSource source,
        bool isPrivileged,
        CancellationToken cancellationToken = default
    )
    {
        var config = ReadConfig(source);
        var declared = config.InputVariables.ToDictionary(variable => variable.Name, variable => variable.Default);
        foreach (var name in VariablePattern().Matches(source.Template).Select(match => match.Groups[1].Value))
        {
            var isKnown = name == Argument || (isPrivileged && name is SolutionArgument or AnswerArgument);
            if (isKnown || declared.GetValueOrDefault(name) is not null)
            {
                continue;
            }

            if (name is SolutionArgument or AnswerArgument)
            {
                throw Wrong(
                    source.TemplatePath,
                    source,
                    $"uses ${name}, which whoever is asked for it must not read; such prompts are for teacher_prompt of train "
                        + "and prompt of score"
                );
            }

            throw Wrong(
                source.TemplatePath,
                source,
                $"uses ${name}; the only argument is ${Argument}, and other variables "
                    + $"need a default under input_variables in {source.ConfigPath}"
            );
        }

        var turns = await PartAsync(await RenderAsync(source, config, isPrivileged, cancellationToken), cancellationToken);
        return turns switch
        {
            null => throw Wrong(
                source.TemplatePath,
                source,
                "has no <message role=\"user\">…</message>, or is not well-formed XML around it"
            ),
            _ when turns.FirstOrDefault(turn => !Roles.Contains(turn.Role)) is { } odd => throw Wrong(
                source.TemplatePath,
                source,
                $"has a message with the role '{odd.Role}'; the roles are {string.Join(", ", Roles)}"
            ),
            _ when turns[^1].Role == "assistant" => throw Wrong(
                source.TemplatePath,
                source,
                "ends with the assistant's turn, which is the one to be generated"
            ),
            _ when !turns.Any(turn => turn.Content.Contains(Marker, StringComparison.Ordinal)) => throw Wrong(
                source.TemplatePath,
                source,
                $"does not show the problem in any message; write {{{{${Argument}}}}} where it belongs"
            ),
            _ => new PromptTemplate(source.Name, turns),
        };
    }

    /// <summary>True where it shows a problem's worked solution.</summary>
    public bool ShowsSolution { get; }

    /// <summary>True where it shows a problem's answer.</summary>
    public bool ShowsAnswer { get; }

    /// <summary>True where the prompt begins with words to the model itself.</summary>
    public bool HasSystemMessage => _turns.Any(turn => turn.Role == "system");

    /// <summary>
    /// The conversation that asks for a solution of the problem. Turns before the problem's question stand before the prompt's own.
    /// </summary>
    /// <exception cref="InvalidInputException">The problem lacks what the prompt shows.</exception>
    public IReadOnlyList<ChatMessage> Render(Problem problem)
    {
        var missing =
            ShowsSolution && string.IsNullOrWhiteSpace(problem.Solution) ? "worked solution"
            : ShowsAnswer && problem.Answer.Length == 0 ? "known answer"
            : null;
        return missing is not null
                ? throw new InvalidInputException(
                    $"prompt {Name}: shows each problem's {missing}, and of problem {problem.Id} there is none"
                )
            : problem.Earlier.Count == 0 ? [.. _turns.Select(turn => Render(turn, problem))]
            : Render(problem, system: null, []);
    }

    /// <summary>The same conversation after others of its form that were answered.</summary>
    /// <param name="problem">The problem.</param>
    /// <param name="system">Words to the model itself that go first; null where the prompt has its own, or none are wanted.</param>
    /// <param name="examples">Problems that were answered before, each with the answer.</param>
    public IReadOnlyList<ChatMessage> Render(Problem problem, string? system, IEnumerable<(Problem Problem, string Answer)> examples)
    {
        var (own, rest) = (_turns.Where(turn => turn.Role == "system"), _turns.Where(turn => turn.Role != "system").ToList());
        var before = problem.Earlier.Where(turn => turn.Role == "system").ToList();

        // Many chat templates allow one system message, and both the prompt's and the problem's are to be heard.
        var words = (system is null ? own.Select(turn => Render(turn, problem)) : [new ChatMessage("system", system)])
            .Concat(before)
            .Select(turn => turn.Content)
            .ToList();
        return
        [
            .. words.Count == 0 ? Array.Empty<ChatMessage>() : [new ChatMessage("system", string.Join("\n\n", words))],
            .. examples.SelectMany(example =>
                rest.Select(turn => Render(turn, example.Problem)).Append(new ChatMessage("assistant", example.Answer))
            ),
            .. problem.Earlier.Where(turn => turn.Role != "system"),
            .. rest.Select(turn => Render(turn, problem)),
        ];
    }

    static ChatMessage Render(ChatMessage turn, Problem problem) =>
        turn with
        {
            // In one pass: what takes a marker's place is not looked through for others.
            Content = MarkerPattern()
                .Replace(turn.Content, marker => marker.Value switch
                    {
                        Marker => problem.Text,
                        SolutionMarker => problem.Solution ?? "",
                        _ => problem.Answer,
                    }),
        };

    static PromptTemplateConfig ReadConfig(PromptSource source)
    {
        try
        {
            var config = PromptTemplateConfig.FromJson(source.Config);
            config.Template = source.Template;
            return config;
        }
        catch (Exception e) when (e is JsonException or ArgumentException or KernelException)
        {
            throw Wrong(source.ConfigPath, source, $"is not a prompt configuration ({e.Message.ReplaceLineEndings(" ")})", e);
        }
    }

    static async Task<string> RenderAsync(
        PromptSource source,
        PromptTemplateConfig config,
        bool isPrivileged,
        CancellationToken cancellationToken
    )
    {
        try
        {
            var template = new KernelPromptTemplateFactory().Create(config);
            var arguments = new KernelArguments(config.InputVariables.ToDictionary(variable => variable.Name, variable => variable.Default))
            {
                [Argument] = Marker,
            };
            if (isPrivileged)
            {
                (arguments[SolutionArgument], arguments[AnswerArgument]) = (SolutionMarker, AnswerMarker);
            }

            return await template.RenderAsync(new Kernel(), arguments, cancellationToken);
        }
        catch (Exception e) when (e is KernelException or KeyNotFoundException or ArgumentException)
        {
            throw Wrong(source.TemplatePath, source, $"cannot be rendered ({e.Message.ReplaceLineEndings(" ")})", e);
        }
    }

    /// <summary>The turns of a rendered prompt, or null where it has none.</summary>
    static async Task<IReadOnlyList<ChatMessage>?> PartAsync(string prompt, CancellationToken cancellationToken)
    {
        var parser = new ChatPromptParser();
        await parser.GetChatMessageContentsAsync(prompt, cancellationToken: cancellationToken);

        // What is no chat prompt comes back whole as the user's words.
        return parser.Turns is [{ Content: var only }] && only == prompt ? null : parser.Turns;
    }

    static InvalidInputException Wrong(string path, PromptSource source, string problem, Exception? inner = null) =>
        new($"{path}: prompt {source.Name} {problem}", inner);

    [GeneratedRegex(@"\{\{-?\s*\$(\w+)", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex VariablePattern();

    [GeneratedRegex($"{Marker}|{SolutionMarker}|{AnswerMarker}", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex MarkerPattern();
}

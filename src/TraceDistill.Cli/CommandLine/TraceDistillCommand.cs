using System.CommandLine;
using System.CommandLine.Parsing;
using TraceDistill.Cli.Stages;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.CommandLine;

/// <summary>The whole command line: one command a verb.</summary>
static class TraceDistillCommand
{
    /// <returns>An <see cref="ExitCode"/>.</returns>
    public static Task<int> RunAsync(IReadOnlyList<string> arguments, IReadOnlyList<IVerb> verbs, CommandHost host) =>
        ErrorBoundary.RunAsync(
            async () =>
            {
                var root = new RootCommand(
                    "Collects reasoning traces with token logprobs from a large language model, "
                        + "distills them into a small one, and measures what it learned."
                );
                foreach (var verb in verbs)
                {
                    ParentOf(verb, root).Add(VerbCommand.Create(verb, host));
                }

                var result = root.Parse(arguments);
                if (result is { Errors.Count: > 0, UnmatchedTokens.Count: 0, CommandResult.Command.Subcommands.Count: > 0 })
                {
                    // Nothing was said to do: what there is to say is what is wanted to be known.
                    result = root.Parse([.. arguments, "--help"]);
                }

                if (result.Errors.Count > 0)
                {
                    throw new InvalidInputException($"{Describe(result)} (tracedistill {Help(result)} shows what is known)");
                }

                return await result.InvokeAsync(
                    new InvocationConfiguration
                    {
                        Output = host.Output,
                        Error = host.Error,
                        EnableDefaultExceptionHandler = false,
                        ProcessTerminationTimeout = null,
                    },
                    host.Interruption
                );
            },
            host.TellFailure,
            host.Interruption
        );

    /// <summary><c>tokenizer train</c> is a command of the command <c>tokenizer</c>.</summary>
    static Command ParentOf(IVerb verb, RootCommand root)
    {
        if (verb.Name.Split(' ') is not [var group, _])
        {
            return root;
        }

        if (root.Subcommands.FirstOrDefault(command => command.Name == group) is { } known)
        {
            return known;
        }

        var parent = new Command(group, verb.Description);
        root.Add(parent);
        return parent;
    }

    static string Describe(ParseResult result)
    {
        var command = result.CommandResult.Command;
        return result.UnmatchedTokens switch
        {
            [var token, ..] when token.StartsWith("--", StringComparison.Ordinal) =>
                $"unknown option {token}; {NearestName.Suggestion(token, [.. command.Options.Select(option => option.Name)])}",
            [var token, ..] when command.Subcommands.Count > 0 =>
                $"unknown verb \"{token}\"; {NearestName.Suggestion(token, [.. command.Subcommands.Select(verb => verb.Name)])}",
            [var token, ..] => $"\"{token}\" is more than {command.Name} takes",
            _ => string.Join("; ", result.Errors.Select(error => error.Message.TrimEnd('.'))),
        };
    }

    static string Help(ParseResult result)
    {
        var names = new Stack<string>();
        for (var command = result.CommandResult; command is { Command: not RootCommand }; command = command.Parent as CommandResult)
        {
            names.Push(command.Command.Name);
        }

        return string.Join(' ', [.. names, "--help"]);
    }
}

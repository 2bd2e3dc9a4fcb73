using System.CommandLine;
using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Secrets;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.CommandLine;

/// <summary>Makes the command of a verb: options from its options record, <c>--out</c>, <c>--config</c> and <c>--json</c>.</summary>
static class VerbCommand
{
    public static Command Create(IVerb verb, CommandHost host)
    {
        var command = new Command(verb.Name.Split(' ')[^1], verb.Description);
        var options = new OptionTokens(verb.OptionsType, command);
        var outOption = new Option<string?>("--out")
        {
            HelpName = "PATH",
            Description = verb.Output == VerbOutput.Required ? "Path to write to (required)" : "Path to write to",
        };
        var configOption = new Option<string?>("--config")
        {
            HelpName = "FILE.yaml",
            Description = "Read options from a YAML file; those given here take precedence",
        };
        var planOption = new Option<bool>("--plan") { Description = RunOptions.PlanHelp };
        var jsonOption = new Option<bool>("--json") { Description = "Print the result as one JSON object on standard output" };
        var keyOption = new Option<string[]>(KeyPermissions.Option)
        {
            HelpName = "NAME=HOST",
            Description = "Allow a file's settings to send the key in this variable or file to this host; can be repeated",
            Arity = ArgumentArity.OneOrMore,
        };
        if (verb.SendsKeys)
        {
            command.Add(keyOption);
        }

        if (verb.Output != VerbOutput.None)
        {
            command.Add(outOption);
        }

        if (verb.IsResumable)
        {
            command.Add(planOption);
        }

        command.Add(configOption);
        command.Add(jsonOption);
        command.SetAction(
            async (result, _) =>
            {
                var settings = options.Read(result);
                if (result.GetValue(configOption) is { } config)
                {
                    settings = YamlConfig.ReadFile(config).MergedWith(settings) with { Location = settings.Location };
                }

                var problems = new ProblemList();
                var output = verb.Output == VerbOutput.None ? null : result.GetValue(outOption);
                if (output is "" || verb.Output == VerbOutput.Required && output is null)
                {
                    problems.Add(new SourceLocation("--out"), "", "is required: say where to write");
                }

                InputPaths.Check(verb.OptionsType, settings, problems);
                var bound = new OptionBinder(problems).BindRecord(verb.OptionsType, settings, "");
                if (bound is not null && output is { Length: > 0 } && FileInTheWay(output, verb.WritesFile(bound, output)) is { } file)
                {
                    problems.Add(new SourceLocation("--out"), "", $"{file} is a file; name a folder");
                }

                problems.ThrowIfAny(verb.Name);
                var keys = verb.SendsKeys ? KeyPermissions.Read(result.GetValue(keyOption) ?? [], host.AllowedKeysFile) : null;
                if (!KeyUse.IsOwn(settings))
                {
                    keys?.Require(verb.KeyUses(bound!));
                }

                var printsResult = verb.PrintsResult && !result.GetValue(jsonOption);
                var summary =
                    verb.IsResumable && result.GetValue(planOption)
                        ? await NamingSettingsAsync(() => PlanAsync(verb, bound!, output, host), verb, settings)
                    : host.Run is { } run ? await RunStageAsync(verb, bound!, output!, run, host)
                    : await NamingSettingsAsync(() => RunAsync(verb, bound!, output, host, keys, printsResult), verb, settings);
                if (result.GetValue(jsonOption))
                {
                    host.WriteJson(summary);
                }

                return (summary as IVerdict)?.ExitCode ?? ExitCode.Done;
            }
        );
        return command;
    }

    /// <summary>Has bad input name settings as they stand on the command line, or in the file that <c>--config</c> names.</summary>
    static async Task<object> NamingSettingsAsync(Func<Task<object>> work, IVerb verb, ConfigMap settings)
    {
        try
        {
            return await work();
        }
        catch (InvalidInputException exception)
            when (SettingName.InMessage(exception.Message, verb.OptionsType, settings) is var named && named != exception.Message)
        {
            throw new InvalidInputException(named, exception);
        }
    }

    /// <summary>Runs a verb for a run, which has looked ahead, keeps the metrics and publishes what comes out.</summary>
    static async Task<object> RunStageAsync(IVerb verb, object options, string output, StageChannel run, CommandHost host)
    {
        using var @lock = verb.LocksOutput ? null : OutputLock.Take(Path.GetFullPath(output));
        var summary = await verb.RunAsync(options, run.ContextOf(output), host.Interruption);
        run.Result(summary);
        return summary;
    }

    static Task<object> PlanAsync(IVerb verb, object options, string? output, CommandHost host) =>
        host.ObserveAsync(async progress =>
        {
            var remark =
                output is not null && Directory.Exists(output)
                    ? await verb.PreviewAsync(options, output, isDiscarded: false, host.Interruption)
                    : null;
            if (remark is not null)
            {
                progress.Message($"{output}: {remark}");
            }

            var foreseen = await ForeseeAsync(verb, options, progress, host.Interruption);
            if (remark is null && foreseen.Count == 0)
            {
                progress.Message("nothing is found that would fail or be left out");
            }

            return (object)new { Remark = remark, Foreseen = foreseen };
        });

    /// <summary>The file that stands where a folder has to be; null for none.</summary>
    static string? FileInTheWay(string output, bool mayBeFile)
    {
        var full = Path.GetFullPath(output);
        for (var folder = mayBeFile ? Path.GetDirectoryName(full) : full; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(folder))
            {
                return folder == full ? output : folder;
            }
        }

        return null;
    }

    /// <summary>Tells what a verb will run into, as the run of a recipe does for its stages.</summary>
    /// <exception cref="InvalidInputException">It is sure to fail.</exception>
    static async Task<IReadOnlyList<string>> ForeseeAsync(
        IVerb verb,
        object options,
        IRunObserver observer,
        CancellationToken cancellationToken
    )
    {
        var foreseen = await verb.ForeseeAsync(options, new Foresight([]), cancellationToken).Distinct().ToListAsync(cancellationToken);
        foreach (var told in foreseen.Where(told => !told.IsCertain))
        {
            observer.Message(told.Text);
        }

        return foreseen.Where(told => told.IsCertain).Select(told => told.Text).ToList() is { Count: > 0 } failures
            ? throw new InvalidInputException(string.Join("\n", failures))
            : [.. foreseen.Select(told => told.Text)];
    }

    static Task<object> RunAsync(IVerb verb, object options, string? output, CommandHost host, KeyPermissions? keys, bool printsResult) =>
        host.ObserveAsync(async progress =>
        {
            IRunObserver console = printsResult ? new ResultPrinter(host.Output, host.IsOutputTerminal, progress) : progress;
            // Only a folder can take the metrics beside the results.
            var folder = output is null || verb.WritesFile(options, output) ? null : Path.GetFullPath(output);
            using var @lock = verb.LocksOutput ? null : OutputLock.Take(folder);
            using var metrics = folder is null ? null : new MetricsLog(Path.Combine(folder, MetricsLog.FileName), host.TimeProvider);
            var tensorBoard = folder is null ? null : Path.Combine(folder, RunDirectory.TensorBoardFolder);
            using var observer = new StageObserver(null, console, metrics, tensorBoard, host.TimeProvider);
            var context = new StageContext
            {
                Output = output,
                Observer = observer,
                Keys = keys,
                TimeProvider = host.TimeProvider,
            };
            await ForeseeAsync(verb, options, observer, host.Interruption);
            var summary = await verb.RunAsync(options, context, host.Interruption);
            if (verb.Output == VerbOutput.Required)
            {
                observer.Message($"written: {output}");
            }

            return summary;
        });
}

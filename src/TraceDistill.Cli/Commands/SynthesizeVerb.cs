using System.Runtime.CompilerServices;
using TraceDistill.Cli.Secrets;
using TraceDistill.Cli.Stages;
using TraceDistill.Cli.Synthesis;
using TraceDistill.Cli.Telemetry;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Prompts;
using TraceDistill.Inference;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Commands;

/// <summary>Problems at which student and teacher are far apart, with the teacher's verified traces: data-free distillation.</summary>
sealed class SynthesizeVerb : Verb<SynthesizeOptions>
{
    public override string Name => "synthesize";

    public override string Description => "Find problems at which student and teacher disagree, with the teacher's verified traces";

    public override VerbOutput Output => VerbOutput.Required;

    public override bool IsResumable => true;

    public override bool KeepsEarlierWork => true;

    public override bool SendsKeys => true;

    public override IEnumerable<KeyUse> KeyUses(SynthesizeOptions options) => ServedTeacher.KeyUses(options);

    public override long EstimateMemory(SynthesizeOptions options) =>
        ProcessMemory + (2 * EngineOptions.DefaultCacheBytes) + new[] { options.Serve, options.Student }.Sum(WeightBytes);

    public override IEnumerable<string> ImplicitInputs(SynthesizeOptions options) =>
        new[] { options.Prompt, options.InventPrompt }.OfType<string>().Select(name => PromptLibrary.Default.Load(name).Folder);

    public override async IAsyncEnumerable<Foreseen> ForeseeAsync(
        SynthesizeOptions options,
        Foresight ahead,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        await Task.CompletedTask;
        if ((ModelAhead.WhyNone("student", options.Student, ahead) ?? ModelAhead.WhyNone("serve", options.Serve, ahead)) is { } missing)
        {
            yield return new Foreseen(IsCertain: true, missing);
            yield break;
        }

        if (
            ahead.IsThere(options.Serve)
            && ahead.IsThere(options.Tokenizer)
            && ServedTeacher.TokenizerProblem(options.Serve, options.Tokenizer) is { } other
        )
        {
            yield return new Foreseen(IsCertain: true, other);
            yield break;
        }

        if (
            options.Disagreement == DisagreementMeasure.Kl
            && ahead.IsThere(options.Student)
            && StudentDisagreement.WhyNoKl(options, ahead.IsThere(options.Tokenizer ?? options.Serve)) is { } problem
        )
        {
            yield return new Foreseen(IsCertain: true, problem);
        }
    }

    public override async Task<object> RunAsync(SynthesizeOptions options, StageContext context, CancellationToken cancellationToken)
    {
        options = options with { Discard = options.Discard || context.IsDiscarded };
        ServedTeacher.EnsureTokenizer(options.Serve, options.Tokenizer);
        if (options.Disagreement == DisagreementMeasure.Kl && StudentDisagreement.WhyNoKl(options, isTeacherThere: true) is { } problem)
        {
            throw new InvalidInputException(problem);
        }

        Directory.CreateDirectory(context.Output!);
        using var telemetry = new TelemetryExport(options.PrometheusPort, Environment.GetEnvironmentVariable);
        await using var server = await ServedTeacher.StartAsync(options, options.TopLogprobs, context, cancellationToken);
        var asked = server is null
            ? options
            : options with
            {
                Endpoint = new Uri(server.Endpoint, "v1").ToString(),
                Model = options.Model ?? server.ModelName,
            };
        TakeOver(asked, context, cancellationToken);
        var summary = await new ProblemSynthesis(asked, context).RunAsync(cancellationToken);
        context.Observer.Message(
            FormattableString.Invariant($"{summary.Problems:N0} problems with {summary.Traces:N0} traces, of {summary.Candidates:N0} tried")
        );
        return summary;
    }

    public override Task<string?> PreviewAsync(
        SynthesizeOptions options,
        string folder,
        bool isDiscarded,
        CancellationToken cancellationToken
    )
    {
        var files = new SynthesisFolder(folder);
        string?[] read = [options.Student, options.Serve, options.Tokenizer, options.Problems, .. options.HeldOut];

        // What an earlier stage is to make may not be there yet.
        if (files.Finished == 0 || !read.OfType<string>().All(Path.Exists))
        {
            return Task.FromResult<string?>(null);
        }

        var named = options with { Model = options.Model ?? ServedTeacher.NameOf(options.Serve!) };
        return Task.FromResult<string?>(
            SynthesisIdentity.Difference(named, files) is not { } difference ? $"{files.Finished} of {options.Rounds} rounds are finished"
            : isDiscarded || options.Discard ? $"{difference}, which are discarded"
            : $"{difference}; --discard discards them, without it the run ends here"
        );
    }

    /// <summary>A stage keeps the rounds that it has, and gives none up unless the user says so.</summary>
    /// <exception cref="InvalidInputException">They are of other settings.</exception>
    static void TakeOver(SynthesizeOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var folder = new SynthesisFolder(context.Output!);
        if (
            context.Earlier is not { } earlier
            || folder.Begun().Count > 0
            || new SynthesisFolder(earlier.Folder) is not { Finished: > 0 } before
        )
        {
            return;
        }

        var difference = SynthesisIdentity.Difference(options, before);
        if (difference is not null && !options.Discard)
        {
            throw SynthesisIdentity.Refusal(context.NameOf(context.Output!), difference);
        }

        // Also those that are discarded then: what they took of their teacher stays counted.
        folder.TakeOver(before, cancellationToken);
        if (difference is null)
        {
            context.Observer.Message($"keeps {Counted.Of(before.Finished, "round")} of an earlier run");
        }
    }

    static long WeightBytes(string? model) =>
        model is null || !Directory.Exists(model) ? 0 : Directory.GetFiles(model, "*.safetensors").Sum(FileBytes);
}

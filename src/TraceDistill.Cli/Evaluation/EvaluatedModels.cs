using System.Runtime.CompilerServices;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation;
using TraceDistill.Inference;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distillation;

namespace TraceDistill.Cli.Evaluation;

/// <summary>The models that an evaluation names, loaded one at a time and freed before the next.</summary>
/// <param name="options">Of the evaluation.</param>
/// <param name="problems">Problems that they are asked.</param>
/// <param name="traces">The data set whose soft targets are compared with, or null.</param>
/// <param name="context">Where it runs.</param>
sealed class EvaluatedModels(EvaluateOptions options, IReadOnlyList<Problem> problems, DatasetDescription? traces, StageContext context)
{
    const string SingleModel = "model";

    public async IAsyncEnumerable<EvaluatedModel> LoadAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var ofTraces = options.Traces is { } path && traces is not null ? TaskDescription.OfTraces(path, traces) : null;
        if (Sources(options).Any(pair => pair.Value.Directory is not null) && VectorSupport.Warning is { } warning)
        {
            context.Observer.Message(warning);
        }

        var isTold = false;
        var tasks = new ModelTasks(options, Sources(options).Select(pair => pair.Value), ofTraces, context.Observer);
        EnsureUsable(cancellationToken);
        foreach (var (name, source) in Sources(options))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var asked = await tasks.ForAsync(name, source, cancellationToken);
            if (source.Directory is { } directory)
            {
                using var generator = Load(directory, asked);
                if (generator.Configuration.Remark is { } remark)
                {
                    context.Observer.Message(remark);
                }

                if (!asked.ByPicture && !isTold && problems.Any(problem => problem.Picture is not null))
                {
                    isTold = true;
                    context.Observer.Message($"{name}, and all others without a picture_encoder: pictures of problems are not looked at");
                }

                var aligner = AlignerFor(directory, generator);
                using var parameters = aligner is null ? null : ModelDirectory.LoadFrozen(directory);
                parameters?.MoveTo(options.Device.Resolve());
                using var scorer = parameters is null ? null : new TraceScorer(parameters, trace => Align(aligner!, trace));
                yield return new EvaluatedModel
                {
                    Name = name,
                    Generator = generator,
                    Asked = asked,
                    Identity = ContentDigest.Combine(ContentDigest.Of(directory)) + (Exit is { } exit ? $", {exit}" : ""),
                    Source = context.NameOf(directory),
                    Parameters = ModelParameters.CountOf(generator.Configuration),
                    Scorer = scorer,
                };
                if (Exit is { } left && generator.Counters is { GeneratedTokens: > 0 } counters)
                {
                    context.Observer.Message(
                        FormattableString.Invariant($"{name}: {(double)counters.ExitedTokens / counters.GeneratedTokens:P1} of ")
                            + FormattableString.Invariant($"{counters.GeneratedTokens:N0} tokens left after layer {left.Layer}")
                    );
                }
            }
            else
            {
                using var teacher = Connect(source);
                yield return new EvaluatedModel
                {
                    Name = name,
                    Generator = new ProbedTeacher(teacher, asked.MaxTokens),
                    Asked = asked,
                    Identity = source.ToString(),
                    Source = source.ToString(),
                };
            }
        }
    }

    EarlyExit? Exit => options.ExitLayer is { } layer ? new EarlyExit(layer, options.ExitThreshold) : null;

    /// <summary>The models by name; the one of the command line is called <c>model</c>.</summary>
    public static IEnumerable<KeyValuePair<string, ModelSource>> Sources(EvaluateOptions options) =>
        (options.Models.Count, options.Endpoint) switch
        {
            (> 0, _) => options.Models,
            (_, null) => [KeyValuePair.Create(SingleModel, ModelSource.Parse(options.Model!, null))],
            _ =>
            [
                KeyValuePair.Create(
                    SingleModel,
                    new ModelSource
                    {
                        Endpoint = options.Endpoint,
                        Model = options.Model,
                        ApiKeyEnv = options.ApiKeyEnv,
                        ApiKeyFile = options.ApiKeyFile,
                    }
                ),
            ],
        };

    /// <summary>Looks at the files of every model before the first one is asked: its answers may take hours.</summary>
    /// <exception cref="InvalidInputException">A model cannot be asked; it is named.</exception>
    void EnsureUsable(CancellationToken cancellationToken)
    {
        foreach (var (name, source) in Sources(options).Where(pair => pair.Value.Directory is not null))
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                EnsureUsable(source.Directory!);
            }
            catch (InvalidInputException error) when (options.Models.Count > 0)
            {
                throw new InvalidInputException($"{name}: {error.Message}", error);
            }
        }
    }

    void EnsureUsable(string directory)
    {
        var (configuration, weights) = ModelDirectory.Open(directory);
        weights.Dispose();
        _ = ModelDirectory.LoadTokenizer(directory);
        _ = ChatTemplate.Load(directory, context.TimeProvider);
        if (Exit?.Refuses(configuration) is { } reason)
        {
            throw new InvalidInputException($"exit_layer: {reason}");
        }
    }

    /// <summary>A model whose engine has room for the longest prompt and an answer to it, however large the model is.</summary>
    LocalGenerator Load(string directory, AskedAs asked)
    {
        var (tokenizer, template) = (ModelDirectory.LoadTokenizer(directory), ChatTemplate.Load(directory, context.TimeProvider));
        var pictures = ModelConfiguration.Load(directory).Pictures;
        var variables = LocalGenerator.TemplateVariables(asked.ExtraBody);
        var prompt = PromptFacts
            .WithLongestTexts(problems)
            .SelectMany(problem => Enumerable.Range(0, options.Samples + 1).Select(sample => asked.Render(problem, sample)))
            .Select(messages => template.Render(messages, addGenerationPrompt: true, variables))
            .Distinct() // samples have one prompt, where there are not several to choose from
            .Select(text => PicturePrompt.Encode(tokenizer, text, pictures).Length)
            .DefaultIfEmpty()
            .Max();
        var engine = new EngineOptions
        {
            Device = options.Device,
            EarlyExit = Exit,
            LongestSequence = (int)Math.Min((long)prompt + asked.MaxTokens, ModelConfiguration.Load(directory).MaxPositionEmbeddings),
        };
        return new LocalGenerator(GenerationEngine.Load(directory, engine), tokenizer, template);
    }

    TeacherPool Connect(ModelSource source) =>
        new(
            TeacherEndpoint.Create(
                new EndpointSettings
                {
                    Url = source.Endpoint!,
                    Model = source.Model ?? "",
                    ApiKeyEnv = source.ApiKeyEnv,
                    ApiKeyFile = source.ApiKeyFile,
                    Dialect = source.Dialect,
                    Stream = source.Stream,
                }
            ),
            new ResilienceOptions { Concurrency = options.Concurrency },
            context.TimeProvider,
            context.Observer
        );

    /// <summary>Of a model that looks at pictures, traces of other problems than it is asked are passed over.</summary>
    static TraceTokens Align(TokenAligner aligner, Trace trace) =>
        aligner.Pictures?.Has(trace.ProblemId) == false ? new TraceTokens([], 0, Soft: null) : aligner.Align(trace, addsEnd: false);

    /// <summary>Traces are of the problems that are asked.</summary>
    ProblemPictures? PicturesFor(ModelConfiguration configuration)
    {
        if (configuration.Pictures is not { } shape)
        {
            return null;
        }

        var pictures = new ProblemPictures(shape, options.Problems);
        foreach (var problem in problems)
        {
            pictures.Add(problem);
        }

        return pictures;
    }

    /// <summary>
    /// Turns the traces into the model's sequences, behind its own prompts as it is served.
    /// Distributions can be compared where the traces are in the model's own token ids; else null.
    /// </summary>
    TokenAligner? AlignerFor(string directory, LocalGenerator generator)
    {
        if (traces is not { TopK: > 0, SampledLogprobs: null })
        {
            return null;
        }

        var stored = TeacherTokenizer.StoredWith(options.Traces!) is { } folder ? Tokenizer.Load(folder) : null;
        var teacher = stored?.Hash == traces.TokenizerHash ? stored : null;
        if (
            traces.TokenizerHash is { } hash
            && generator.Tokenizer.Hash != hash
            && (teacher is null || !generator.Tokenizer.Extends(teacher))
        )
        {
            context.Observer.Message($"{directory}: has another tokenizer than the traces, so its distributions are not compared");
            return null;
        }

        var aligner = new TokenAligner(
            generator.Tokenizer,
            new ChatSequence(generator.Tokenizer, generator.Template, PicturesFor(generator.Configuration)),
            traces,
            options.Traces!,
            topK: null,
            teacher
        );
        foreach (var remark in aligner.DescribeLogprobs())
        {
            context.Observer.Message(remark);
        }

        return aligner;
    }
}

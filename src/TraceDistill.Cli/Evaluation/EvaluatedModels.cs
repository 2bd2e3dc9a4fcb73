using System.Runtime.CompilerServices;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Recipes;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Evaluation;
using TraceDistill.Core.Storage;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Generation;
using TraceDistill.Training.Models;

namespace TraceDistill.Cli.Evaluation;

/// <summary>The models that an evaluation names, loaded one at a time and freed before the next.</summary>
/// <param name="traces">The data set whose soft targets are compared with, or null.</param>
sealed class EvaluatedModels(EvaluateOptions options, DatasetDescription? traces, StageContext context)
{
    const string SingleModel = "model";

    public async IAsyncEnumerable<EvaluatedModel> LoadAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        foreach (var (name, source) in Sources())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (source.Directory is { } directory)
            {
                using var generator = LocalGenerator.Load(directory, time: context.TimeProvider);
                if (generator.Configuration.Remark is { } remark)
                {
                    context.Observer.Message(remark);
                }

                using var parameters = HasItsTokens(directory, generator) ? ModelDirectory.LoadFrozen(directory) : null;
                using var scorer = parameters is null ? null : new TraceScorer(parameters);
                yield return new EvaluatedModel
                {
                    Name = name,
                    Generator = generator,
                    Identity = ContentDigest.Combine(ContentDigest.Of(directory)),
                    Source = context.NameOf(directory),
                    Parameters = ModelParameters.CountOf(generator.Configuration),
                    Scorer = scorer,
                };
            }
            else
            {
                using var teacher = Connect(source);
                yield return new EvaluatedModel { Name = name, Generator = teacher, Identity = source.ToString(), Source = source.ToString() };
            }
        }

        await Task.CompletedTask;
    }

    /// <summary>The one model of the command line is called <c>model</c>.</summary>
    IEnumerable<KeyValuePair<string, ModelSource>> Sources() => (options.Models.Count, options.Endpoint) switch
    {
        ( > 0, _) => options.Models,
        (_, null) => [KeyValuePair.Create(SingleModel, ModelSource.Parse(options.Model!, null))],
        _ => [KeyValuePair.Create(SingleModel, new ModelSource { Endpoint = options.Endpoint, Model = options.Model, ApiKeyEnv = options.ApiKeyEnv, ApiKeyFile = options.ApiKeyFile })],
    };

    TeacherPool Connect(ModelSource source) => new(
        TeacherEndpoint.Create(new EndpointSettings
        {
            Url = source.Endpoint!, Model = source.Model ?? "", ApiKeyEnv = source.ApiKeyEnv, ApiKeyFile = source.ApiKeyFile, Dialect = source.Dialect, Stream = source.Stream,
        }),
        new ResilienceOptions { Concurrency = options.Concurrency },
        context.TimeProvider,
        context.Observer);

    /// <summary>Distributions can be compared where the traces are in the model's own token ids.</summary>
    bool HasItsTokens(string directory, LocalGenerator generator)
    {
        if (traces is null)
        {
            return false;
        }

        if (traces.TokenizerHash is { } hash && generator.TokenizerHash != hash)
        {
            context.Observer.Message($"{directory}: has another tokenizer than the traces, so its distributions are not compared");
            return false;
        }

        return true;
    }
}

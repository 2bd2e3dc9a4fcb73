using TraceDistill.Cli.Secrets;
using TraceDistill.Cli.Stages;
using TraceDistill.Serving;
using TraceDistill.Serving.Model;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Cli.Commands;

/// <summary>The teacher of verbs that ask one: a model directory that is served here meanwhile, and the keys of endpoints.</summary>
static class ServedTeacher
{
    /// <summary>Name of a served model, where the user gives it none.</summary>
    public static string NameOf(string model) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model)));

    /// <summary>An endpoint without a key of its own takes the one that holds for all.</summary>
    public static IEnumerable<KeyUse> KeyUses(TeacherOptions options) =>
        [
            .. KeyUse.Of(options.Endpoint, options.ApiKeyEnv, options.ApiKeyFile),
            .. options.Endpoints.SelectMany(one =>
                one.ApiKeyEnv is null && one.ApiKeyFile is null
                    ? KeyUse.Of(one.Endpoint, options.ApiKeyEnv, options.ApiKeyFile)
                    : KeyUse.Of(one.Endpoint, one.ApiKeyEnv, one.ApiKeyFile)
            ),
        ];

    /// <summary>Whoever names a tokenizer beside a model on this machine has the model's ids read as its own.</summary>
    /// <param name="model">The model directory; null for none.</param>
    /// <param name="tokenizer">The folder that is named; null for none.</param>
    /// <returns>What is wrong where it holds another tokenizer than the model's; else null.</returns>
    public static string? TokenizerProblem(string? model, string? tokenizer) =>
        model is not null && tokenizer is not null && Tokenizer.Load(model).Hash != Tokenizer.Load(tokenizer).Hash
            ? $"tokenizer: {tokenizer} does not hold the tokenizer of {model}, whose ids it would give other texts; leave it out"
            : null;

    /// <inheritdoc cref="TokenizerProblem"/>
    /// <exception cref="InvalidInputException">It holds another tokenizer than the model's.</exception>
    public static void EnsureTokenizer(string? model, string? tokenizer)
    {
        if (TokenizerProblem(model, tokenizer) is { } problem)
        {
            throw new InvalidInputException(problem);
        }
    }

    /// <summary>Serves the model directory that the options name on a free loopback port.</summary>
    /// <returns>Null where they name none.</returns>
    public static async Task<ModelServer?> StartAsync(
        TeacherOptions options,
        int topLogprobs,
        StageContext context,
        CancellationToken cancellationToken
    ) =>
        options.Serve is not { } model
            ? null
            : await ModelServer.StartAsync(
                new ServeOptions
                {
                    Model = model,
                    Name = options.Model,
                    Device = options.Device,
                    Port = 0,
                    MaxConcurrent = options.Concurrency,
                    MaxTopLogprobs = Math.Max(64, topLogprobs),
                },
                context.Observer,
                context.TimeProvider,
                cancellationToken
            );
}

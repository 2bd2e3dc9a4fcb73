using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;

namespace TraceDistill.Inference;

/// <summary>
/// Scores text with a model in this process. The engine takes texts in as it takes prompts: many at once, a stretch of tokens a step, in
/// the memory of its cache, and texts with the same beginning work that out once. On the processor a text's scores do not depend, to the
/// bit, on what is scored beside it.
/// </summary>
/// <param name="engine">Disposed of with this object.</param>
public sealed class LocalScorer(GenerationEngine engine) : ITokenScorer, IDisposable
{
    /// <summary>Tokens that a step takes in: enough for products to be as fast as they get, and in the processor's cache still.</summary>
    const int TokensPerStep = 256;

    public ModelConfiguration Configuration => engine.Configuration;

    /// <summary>Loads the weights of a model directory, with a cache that holds the longest text that the model takes.</summary>
    /// <param name="longest">Tokens of the longest text that there is to score; null: as many as the model has positions.</param>
    /// <exception cref="InvalidInputException">A file is missing or wrong, or there is no such device.</exception>
    public static LocalScorer Load(string modelDirectory, EngineOptions? options = null, int? longest = null)
    {
        var positions = ModelConfiguration.Load(modelDirectory).MaxPositionEmbeddings;
        var given = options ?? new EngineOptions();
        return new LocalScorer(
            GenerationEngine.Load(
                modelDirectory,
                given with
                {
                    LongestSequence = Math.Max(given.LongestSequence, Math.Min(longest ?? positions, positions)),
                    PromptTokensPerStep = Math.Max(given.PromptTokensPerStep, TokensPerStep),
                }
            )
        );
    }

    /// <summary>Memory for keys and values that <see cref="Load"/> takes at most on the processor, whatever texts there are.</summary>
    /// <exception cref="InvalidInputException">The model's config is missing or wrong.</exception>
    public static long MostCacheBytes(string modelDirectory)
    {
        var model = ModelConfiguration.Load(modelDirectory);
        var longest = model.Recurrence is null
            ? 2L * model.NumHiddenLayers * model.NumKeyValueHeads * model.HeadDim * sizeof(float) * model.MaxPositionEmbeddings
            : 0;
        return Math.Max(EngineOptions.DefaultCacheBytes, longest);
    }

    /// <inheritdoc/>
    public async Task<TokenLogprobs> ScoreAsync(ScoringRequest request, CancellationToken cancellationToken = default)
    {
        try
        {
            var result = await engine.GenerateAsync(
                new SequenceRequest
                {
                    Prompt = request.Tokens,
                    FirstScored = request.First,
                    PromptTopLogprobs = request.TopLogprobs,
                    DrawsAlternatives = request.DrawSeed is not null,
                    Seed = request.DrawSeed ?? 0,
                    MaxTokens = 0,
                    StopTokens = [],
                },
                cancellationToken
            );
            return result.PromptLogprobs!;
        }
        catch (ContextLengthException e)
        {
            throw new UnscorableTextException(UnscorableTextException.TooLong, $"text {request.Id}: {e.Message}", e);
        }
    }

    public void Dispose() => engine.Dispose();
}

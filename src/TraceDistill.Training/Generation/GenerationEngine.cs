using TraceDistill.Core.Errors;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;

namespace TraceDistill.Training.Generation;

/// <summary>
/// Continues many sequences at once on the processor, in float32 from weights in the precision of their checkpoint: a key/value cache with bounded memory, and continuous batching, in which
/// sequences join and leave between steps. What a sequence generates does not depend, to the bit, on what runs beside it.
/// </summary>
/// <remarks>Used by the server and by evaluation. All members are thread-safe.</remarks>
public sealed class GenerationEngine : IDisposable
{
    readonly DecoderWeights _weights;
    readonly KeyValueCache _cache;
    readonly SequenceQueue _queue;
    readonly GenerationWorker[] _workers;
    bool _disposed;

    /// <param name="parameters">The weights; copied, so that training may go on or the caller may dispose of them.</param>
    public GenerationEngine(ModelParameters parameters, EngineOptions? options = null)
        : this(new DecoderWeights(new ParameterSource(parameters)), options ?? new EngineOptions())
    {
    }

    GenerationEngine(DecoderWeights weights, EngineOptions options)
    {
        _weights = weights;
        _cache = new KeyValueCache(weights.Configuration, options.CacheBytes);
        _queue = new SequenceQueue(_cache, options.Threads, options.MaxRunning);
        _workers = [.. Enumerable.Range(0, options.Threads).Select(i => new GenerationWorker(weights, _cache, _queue, options, i))];
    }

    public ModelConfiguration Configuration => _weights.Configuration;

    public EngineCounters Counters
    {
        get
        {
            var (running, waiting) = _queue.Counts;
            return new EngineCounters(running, waiting, _workers.Sum(worker => worker.PromptTokens), _workers.Sum(worker => worker.GeneratedTokens));
        }
    }

    /// <summary>Loads config.json and model.safetensors of a model directory.</summary>
    /// <exception cref="InvalidInputException">The directory does not hold a model that this program can run.</exception>
    public static GenerationEngine Load(string modelDirectory, EngineOptions? options = null) =>
        new(DecoderWeights.Load(modelDirectory), options ?? new EngineOptions());

    /// <summary>Continues one sequence.</summary>
    /// <exception cref="ContextLengthException">The prompt is too long for the model or the cache.</exception>
    /// <exception cref="InvalidInputException">The prompt is empty or holds ids outside the vocabulary.</exception>
    public Task<SequenceResult> GenerateAsync(SequenceRequest request, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<SequenceResult>(cancellationToken);
        }

        var maxTokens = Validate(request);
        var sequence = new Sequence(
            request, maxTokens, request.StopTokens?.ToArray() ?? [.. Configuration.EosTokenIds], Configuration.IsLong(request.Prompt.Length + maxTokens));
        var registration = cancellationToken.UnsafeRegister(static (state, token) => ((Sequence)state!).Cancel(token), sequence);
        _ = sequence.Completion.ContinueWith(
            static (_, state) => ((CancellationTokenRegistration)state!).Unregister(), registration, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        _queue.Add(sequence);
        return sequence.Completion;
    }

    /// <summary>Cancels what is running or waiting and frees all memory.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (var sequence in _queue.Stop())
        {
            sequence.Cancel(new CancellationToken(canceled: true));
        }

        foreach (var worker in _workers)
        {
            worker.Dispose();
        }

        _cache.Dispose();
        _weights.Dispose();
    }

    /// <returns>How many tokens to generate: what is asked for, as far as the model's context goes.</returns>
    int Validate(SequenceRequest request)
    {
        var (length, context) = (request.Prompt.Length, Configuration.MaxPositionEmbeddings);
        if (length == 0)
        {
            throw new InvalidInputException("the prompt holds no tokens");
        }

        if (length > context || (length == context && request.MaxTokens > 0))
        {
            throw new ContextLengthException($"the prompt has {length} tokens, but the model's context is {context}: shorten the prompt");
        }

        foreach (var token in request.Prompt.Span)
        {
            if ((uint)token >= Configuration.VocabSize)
            {
                throw new InvalidInputException($"the prompt holds token {token}, but the model's vocabulary has {Configuration.VocabSize} tokens");
            }
        }

        // The last token generated takes no position, yet counts against the context as it does elsewhere.
        var maxTokens = int.Min(request.MaxTokens, context - length);
        if (KeyValueCache.PagesFor(length + maxTokens) > _cache.PageCount)
        {
            throw new ContextLengthException(
                $"{length} prompt tokens and {maxTokens} to generate do not fit the key/value cache of {_cache.PageCount * KeyValueCache.PageTokens} tokens: lower max_tokens or enlarge the cache");
        }

        return maxTokens;
    }
}

using TorchSharp;
using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Sequences;
using TraceDistill.Inference.Weights;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;

namespace TraceDistill.Inference;

/// <summary>
/// Continues many sequences at once: a key/value cache (or states) with bounded memory, and continuous batching, in which
/// sequences join and leave between steps. On the processor it computes in float32 with kernels of its own,
/// and what a sequence generates does not depend, to the bit, on what runs beside it; on a GPU the trained
/// <see cref="Decoder"/> computes, in the precision of the checkpoint, and the last bits do depend on it.
/// </summary>
/// <remarks>Used by the server and by evaluation. All members are thread-safe.</remarks>
public sealed class GenerationEngine : IDisposable
{
    readonly IGenerationModel _model;
    readonly PagePool _pages;
    readonly SequenceQueue _queue;
    readonly GenerationWorker[] _workers;
    bool _disposed;

    /// <param name="parameters">The weights; copied, so that training may go on or the caller may dispose of them.</param>
    public GenerationEngine(ModelParameters parameters, EngineOptions? options = null)
        : this(options ?? new EngineOptions(), parameters.Copy, () => new DecoderWeights(new ParameterSource(parameters))) { }

    /// <param name="given">As the caller has them, for any device.</param>
    /// <param name="weights">Gives the weights of the <see cref="Decoder"/>.</param>
    /// <param name="packed">Gives them as the kernels take them.</param>
    GenerationEngine(EngineOptions given, Func<IDecoderWeights> weights, Func<DecoderWeights> packed)
    {
        var device = given.Device.Resolve();
        var options = given.For(device);
        IGenerationModel model =
            device.type != DeviceType.CPU || options.UsesDecoder
                ? new TensorModel(weights(), device, options)
                : new KernelModel(packed(), options);
        if (options.EarlyExit is { } exit && Refuses(exit, model) is { } reason)
        {
            model.Dispose();
            throw new InvalidInputException($"exit_layer: {reason}");
        }

        _model = model;
        _pages = model.Pages;
        _queue = new SequenceQueue(_pages, model.Workers, options.MaxRunning);
        _workers = [.. Enumerable.Range(0, model.Workers).Select(i => new GenerationWorker(model, _queue, options, i))];
    }

    public ModelConfiguration Configuration => _model.Configuration;

    public EngineCounters Counters
    {
        get
        {
            var (running, waiting) = _queue.Counts;
            return new EngineCounters(
                running,
                waiting,
                _workers.Sum(worker => worker.PromptTokens),
                _workers.Sum(worker => worker.GeneratedTokens),
                _workers.Sum(worker => worker.ExitedTokens)
            );
        }
    }

    /// <summary>Loads config.json and model.safetensors of a model directory.</summary>
    /// <exception cref="InvalidInputException">
    /// The directory does not hold a model that this program can run, or there is no such device.
    /// </exception>
    public static GenerationEngine Load(string modelDirectory, EngineOptions? options = null) =>
        new(options ?? new EngineOptions(), () => ModelDirectory.LoadFrozen(modelDirectory), () => DecoderWeights.Load(modelDirectory));

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
        var picture = request.Picture is { } seen ? new PromptPicture(seen, request.Prompt, _model.Pictures!.Read(seen)) : null;
        var sequence = new Sequence(
            request,
            maxTokens,
            request.StopTokens?.ToArray() ?? [.. Configuration.EosTokenIds],
            _pages,
            Configuration.IsLong(request.Prompt.Length + maxTokens),
            picture
        );
        var registration = cancellationToken.UnsafeRegister(static (state, token) => ((Sequence)state!).Cancel(token), sequence);
        _ = sequence.Completion.ContinueWith(
            static (_, state) => ((CancellationTokenRegistration)state!).Unregister(),
            registration,
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default
        );
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

        _model.Dispose();
    }

    static string? Refuses(EarlyExit exit, IGenerationModel model) =>
        model is KernelModel
            ? exit.Refuses(model.Configuration)
            : "answers leave early on the CPU alone, with this program's kernels: leave it out";

    /// <exception cref="InvalidInputException">A picture is missing, or there is one that is not wanted.</exception>
    void EnsurePictured(SequenceRequest request)
    {
        if (Configuration.Pictures is not { } pictures)
        {
            if (request.Picture is not null)
            {
                throw new InvalidInputException("the model reads text alone, and has no encoder for a picture");
            }

            return;
        }

        var span = request.Prompt.Span;
        var first = span.IndexOf(PicturePrompt.Token);
        if (
            request.Picture is null
            || span.Count(PicturePrompt.Token) != pictures.Patches
            || span.Slice(first, pictures.Patches).ContainsAnyExcept(PicturePrompt.Token)
        )
        {
            throw new InvalidInputException("the model looks at a picture in each prompt: give it exactly one");
        }

        if (request.PromptTopLogprobs is not null && request.FirstScored < first + pictures.Patches)
        {
            throw new InvalidInputException("a picture's places have no probabilities: score tokens behind it");
        }
    }

    /// <returns>The number of tokens to generate: that of the request, as far as the model's context goes.</returns>
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

        if (request.PromptTopLogprobs is not null && (request.FirstScored < 1 || request.FirstScored > length))
        {
            throw new InvalidInputException(
                $"the first token to be scored is {request.FirstScored}: from 1, before which nothing stands, to the {length} of the prompt"
            );
        }

        EnsurePictured(request);
        foreach (var token in request.Prompt.Span)
        {
            if (token == PicturePrompt.Token && request.Picture is not null)
            {
                continue;
            }

            if ((uint)token >= Configuration.VocabSize)
            {
                throw new InvalidInputException(
                    $"the prompt holds token {token}, but the model's vocabulary has {Configuration.VocabSize} tokens"
                );
            }
        }

        // The last token generated takes no position, yet counts against the context as it does elsewhere.
        var maxTokens = int.Min(request.MaxTokens, context - length);
        if (_pages.PagesOf(length + maxTokens) > _pages.Count)
        {
            throw new ContextLengthException(
                $"{length} prompt tokens and {maxTokens} to generate do not fit the key/value cache "
                    + $"of {_pages.Count * PagePool.PageTokens} tokens: lower max_tokens or enlarge the cache"
            );
        }

        return maxTokens;
    }
}

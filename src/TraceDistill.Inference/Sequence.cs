using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Sampling;
using TraceDistill.Inference.Sequences;

namespace TraceDistill.Inference;

/// <summary>A sequence in the engine: where it stands, and what it has produced.</summary>
/// <param name="request">The request.</param>
/// <param name="maxTokens">The most tokens to generate.</param>
/// <param name="stopTokens">End it.</param>
/// <param name="isLong">
/// True where all that it may become is long in the sense of <see cref="Models.Configuration.ModelConfiguration.IsLong"/>.
/// </param>
/// <param name="cache">Says how many tokens fill a page.</param>
/// <param name="picture">Stands in the prompt; null where that is text.</param>
sealed class Sequence(
    SequenceRequest request,
    int maxTokens,
    int[] stopTokens,
    PagePool cache,
    bool isLong = false,
    PromptPicture? picture = null
)
{
    readonly TaskCompletionSource<SequenceResult> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly SampleStream _random = new(request.Seed, request.SampleIndex);
    readonly TokenLog _generated = new(request.TopLogprobs ?? 0);
    readonly TokenLog? _prompt = request.PromptTopLogprobs is { } k ? new TokenLog(k) : null;

    public SequenceRequest Request => request;

    public Task<SequenceResult> Completion => _completion.Task;

    /// <summary>Finished, failed or cancelled.</summary>
    public bool IsOver => _completion.Task.IsCompleted;

    /// <summary>
    /// The tokens at the prompt's start that fill whole cache pages, which others with the same beginning may read; of a prompt that is
    /// scored, only those before the first token whose logits are wanted.
    /// </summary>
    /// <remarks>
    /// Never the whole prompt: the logits of its last token are wanted. Keys of long sequences are rotated otherwise
    /// than those of short ones. A state is of all tokens so far, and is not shared. In the places of a picture is its digest, so that
    /// prompts with other pictures are others.
    /// </remarks>
    public ReadOnlyMemory<int> SharedTokens { get; } = isLong ? default : Shared(request, cache, picture);

    /// <summary>Cache pages, those of <see cref="Prompt"/> first.</summary>
    public int[] Pages { get; private set; } = [];

    /// <summary>The pages of <see cref="SharedTokens"/>; null where there are none.</summary>
    public PromptPages? Prompt { get; private set; }

    /// <summary>Number of <see cref="Pages"/> that belong to <see cref="Prompt"/>.</summary>
    public int SharedPages => Prompt?.Pages.Length ?? 0;

    /// <summary>Tokens whose keys and values are in the cache.</summary>
    public int Position { get; set; }

    /// <summary>Positions the cache must hold; the last generated token is never read.</summary>
    public int CacheTokens => request.Prompt.Length + int.Max(0, maxTokens - 1);

    public bool IsLong => isLong;

    public bool InPrompt => Position < request.Prompt.Length;

    /// <summary>The token after <see cref="Position"/>, once the prompt is done.</summary>
    public int NextInput => _generated.LastToken;

    /// <summary>Returns whether the logits behind a prompt token are wanted, which tell of the one after it.</summary>
    public bool Scores(int promptIndex) => _prompt is not null && promptIndex >= request.FirstScored - 1;

    public bool Generates => maxTokens > 0;

    /// <summary>[D] the vector that stands in place of a prompt token's embedding; empty where that is read.</summary>
    public ReadOnlyMemory<float> PictureVectorAt(int promptIndex) => picture?.At(promptIndex) ?? default;

    /// <summary>Gives it its room.</summary>
    /// <param name="position">Where its own work begins: after what others have put into the pages.</param>
    public void Begin(int[] pages, PromptPages? prompt, int position) => (Pages, Prompt, Position) = (pages, prompt, position);

    /// <summary>The random number of the next draw.</summary>
    public double NextUniform() => _random.Uniform(_generated.Count);

    /// <summary>The random numbers that draw the alternatives of a token.</summary>
    /// <param name="promptIndex">Index of a prompt token; null for the one that is generated next.</param>
    public SampleStream AlternativesOf(int? promptIndex) => _random.AlternativesOf(promptIndex ?? request.Prompt.Length + _generated.Count);

    public void AddPromptToken(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs) =>
        _prompt!.Add(token, logprob, topIds, topLogprobs);

    /// <summary>Takes a drawn token and finishes the sequence where it was the last.</summary>
    public void AddToken(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
    {
        TellPrompt();
        _generated.Add(token, logprob, topIds, topLogprobs);
        var goesOn = request.Sink?.Append(token, logprob, topIds, topLogprobs) ?? true;
        if (!goesOn || stopTokens.Contains(token))
        {
            Finish(stopped: true);
        }
        else if (_generated.Count == maxTokens)
        {
            Finish(stopped: false);
        }
    }

    public void Finish(bool stopped)
    {
        TellPrompt();
        var log = _generated.Build();
        _completion.TrySetResult(
            new SequenceResult
            {
                Tokens = log.TokenIds,
                Stopped = stopped,
                Logprobs = request.TopLogprobs == null ? null : log,
                PromptLogprobs = _prompt?.Build(),
            }
        );
    }

    public void Cancel(CancellationToken token) => _completion.TrySetCanceled(token);

    public void Fail(Exception error) => _completion.TrySetException(error);

    static ReadOnlyMemory<int> Shared(SequenceRequest request, PagePool cache, PromptPicture? picture)
    {
        var length = cache.WholePages((request.PromptTopLogprobs is null ? request.Prompt.Length : request.FirstScored) - 1);
        return picture?.Shared(length, cache) ?? request.Prompt[..length];
    }

    void TellPrompt()
    {
        if (_generated.Count == 0 && _prompt is not null)
        {
            request.Sink?.AppendPrompt(_prompt.Build());
        }
    }
}

using Polly;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Scoring;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Pool;

/// <summary>One request on its way through a pool, over all its attempts: a text to be generated, or one to be scored.</summary>
sealed class PoolCall
{
    public static readonly ResiliencePropertyKey<PoolCall> Key = new("pool-call");

    readonly Lock _lock = new();
    readonly List<TeacherLane> _under = [];
    readonly Action<StreamedText>? _told;

    PoolCall(string name, int promptTokens, TimeSpan timeout, Action<StreamedText>? told = null) =>
        (Name, PromptTokens, Timeout, _told) = (name, promptTokens, timeout, told);

    /// <param name="request">What is to be generated.</param>
    /// <param name="timeout">How long one attempt may take.</param>
    /// <param name="told">Invoked with the text as it comes; null for an answer that is wanted as a whole.</param>
    public static PoolCall Of(GenerationRequest request, TimeSpan timeout, Action<StreamedText>? told = null) =>
        new($"sample {request.Id}", PromptSize.Tokens(request.Messages), timeout, told)
        {
            Sampling = request.Sampling,
            Ask = async (client, progress, cancellationToken) =>
            {
                var result = await client.CompleteAsync(request.Messages, request.Sampling, progress, cancellationToken);
                return new PoolAnswer(result.PromptTokens, result.CompletionTokens, result.FinishReason) { Generation = result };
            },
        };

    /// <param name="request">What is to be scored.</param>
    /// <param name="timeout">How long one attempt may take.</param>
    public static PoolCall Of(ScoringRequest request, TimeSpan timeout) =>
        new($"text {request.Id}", request.Tokens.Length, timeout)
        {
            IsScoring = true,
            Sampling = new SamplingSettings { MaxTokens = 1, TopLogprobs = request.TopLogprobs },
            Ask = async (client, progress, cancellationToken) =>
            {
                var scored = await client.ScoreAsync(request, way: null, progress, cancellationToken);
                if (LogprobCheck.Problem(scored.Logprobs, request) is { } problem)
                {
                    throw new TeacherRequestException(
                        FailureScope.Request,
                        $"{client.Endpoint} {problem}",
                        new ScoreMisalignedException(problem)
                    );
                }

                return new PoolAnswer(scored.PromptTokens, scored.CompletionTokens, FinishReasons.Stop) { Scores = scored.Logprobs };
            },
        };

    /// <summary>Names it in messages: <c>sample ID</c>, <c>text ID</c>.</summary>
    public string Name { get; }

    /// <summary>True where a text that exists is scored.</summary>
    public bool IsScoring { get; private init; }

    /// <summary>Settings of what is generated; of a text that is scored, of the token that some servers add.</summary>
    public required SamplingSettings Sampling { get; init; }

    /// <summary>Makes one attempt at an endpoint.</summary>
    public required Func<TeacherClient, AnswerProgress, CancellationToken, Task<PoolAnswer>> Ask { get; init; }

    /// <summary>Longest time of one attempt.</summary>
    public TimeSpan Timeout { get; }

    /// <summary>Invoked with the text as it comes; null for an answer that is wanted as a whole.</summary>
    public Action<StreamedText>? Told => _told is null ? null : Tell;

    /// <summary>True where some text has been told: another attempt would tell it again, or other text.</summary>
    public bool HasTold { get; private set; }

    public int PromptTokens { get; }

    /// <summary>The endpoint that was asked last, which the next attempt avoids where it can; −1 before the first.</summary>
    public int LastEndpoint { get; set; } = -1;

    /// <summary>True where the attempt that failed last is followed at once by one elsewhere.</summary>
    public bool GoesElsewhere { get; set; }

    /// <summary>Number of times that this was so.</summary>
    public int Detours { get; set; }

    /// <summary>True where a second copy of the present attempt has been sent.</summary>
    public bool IsHedged { get; set; }

    public void Begin(TeacherLane lane)
    {
        lock (_lock)
        {
            _under.Add(lane);
        }
    }

    /// <summary>The attempt was answered or failed.</summary>
    public void End(TeacherLane lane)
    {
        lock (_lock)
        {
            _under.Remove(lane);
        }
    }

    /// <summary>Attempts that are neither answered nor failed: once there is an answer, they are cancelled.</summary>
    public IReadOnlyList<TeacherLane> Under()
    {
        lock (_lock)
        {
            return [.. _under];
        }
    }

    void Tell(StreamedText text)
    {
        HasTold = true;
        _told!(text);
    }
}

/// <summary>A whole answer to a request: what was generated, or the scores of a text.</summary>
/// <param name="PromptTokens">Tokens read.</param>
/// <param name="CompletionTokens">Tokens generated.</param>
/// <param name="FinishReason">Why it ended.</param>
sealed record PoolAnswer(int PromptTokens, int CompletionTokens, string FinishReason)
{
    /// <summary>The generation; null where a text was scored.</summary>
    public GenerationResult? Generation { get; init; }

    /// <summary>The scores of a text; null where one was generated.</summary>
    public TokenLogprobs? Scores { get; init; }

    /// <summary>Tokens that measure how much the server did.</summary>
    public int Work => Scores is null ? CompletionTokens : PromptTokens;
}

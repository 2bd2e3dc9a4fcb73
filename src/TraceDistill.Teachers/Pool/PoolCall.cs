using Polly;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Pool;

/// <summary>One request on its way through a pool, over all its attempts.</summary>
/// <param name="request">The request.</param>
/// <param name="timeout">How long one attempt may take.</param>
/// <param name="told">Invoked with the text as it comes; null for an answer that is wanted as a whole.</param>
sealed class PoolCall(GenerationRequest request, TimeSpan timeout, Action<StreamedText>? told = null)
{
    public static readonly ResiliencePropertyKey<PoolCall> Key = new("pool-call");

    readonly Lock _lock = new();
    readonly List<TeacherLane> _under = [];

    public GenerationRequest Request => request;

    /// <summary>Longest time of one attempt.</summary>
    public TimeSpan Timeout => timeout;

    /// <summary>Invoked with the text as it comes; null for an answer that is wanted as a whole.</summary>
    public Action<StreamedText>? Told => told is null ? null : Tell;

    /// <summary>True where some text has been told: another attempt would tell it again, or other text.</summary>
    public bool HasTold { get; private set; }

    public int PromptTokens { get; } = PromptSize.Tokens(request.Messages);

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
        told!(text);
    }
}

using System.Collections.Concurrent;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Faults;

/// <summary>
/// Says what goes wrong with which response: a function of the request's content and of how
/// often it was asked before, whatever the order in which requests come.
/// </summary>
/// <param name="share">Share of the responses that are faulty, from 0 to 1.</param>
/// <param name="seed">Another seed, other faults.</param>
/// <param name="faults">Possible faults, each as likely as the others.</param>
public sealed class FaultPlan(double share, ulong seed, params Fault[] faults)
{
    readonly ConcurrentDictionary<ulong, ulong> _asked = new();

    /// <summary>Faults that a patient client outlasts without a trace of them in what it collects.</summary>
    public static IReadOnlyList<Fault> Outlasted { get; } =
    [
        Fault.TooManyRequests,
        Fault.TooManyRequestsRetryAfter,
        Fault.InternalError,
        Fault.BadGateway,
        Fault.Unavailable,
        Fault.ErrorInSuccess,
        Fault.ResetBeforeResponse,
        Fault.ResetDuringBody,
        Fault.ResetAfterBody,
        Fault.TruncatedJson,
        Fault.UnsortedAlternatives,
        Fault.InvalidUtf8,
        Fault.ContentLengthTooLong,
        Fault.GzipGarbage,
        Fault.SlowDrip,
        Fault.OutOfOrderEvents,
        Fault.WrongShape,
    ];

    /// <summary>The fault of the next response to this request.</summary>
    public Fault Next(TeacherRequest request)
    {
        var before = _asked.AddOrUpdate(request.Key, 0, (_, asked) => asked + 1);
        var random = new SplitMix64(request.Key ^ (seed * 0x9E3779B97F4A7C15) ^ (before * 0xD6E8FEB86659FD93));
        return random.NextDouble() < share ? faults[random.Next(faults.Length)] : Fault.None;
    }
}

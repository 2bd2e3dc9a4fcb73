using System.Diagnostics;

namespace TraceDistill.TestServer.Soak;

/// <summary>How a collection is tormented.</summary>
public sealed record SoakOptions
{
    /// <summary>Problems, each with one trace.</summary>
    public required int Problems { get; init; }

    /// <summary>How often the collecting process is killed while it collects; a few times more while it publishes.</summary>
    public required int Kills { get; init; }

    /// <summary>Share of the responses that are faulty.</summary>
    public double FaultShare { get; init; } = 0.2;

    /// <summary>Another seed, other faults and other moments.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>
    /// Starts a process that collects: problems file, endpoint, output folder → start. It is to ask the model
    /// <c>teacher</c> at temperature 1 and nucleus 1 for <see cref="MaxTokens"/> tokens with <see cref="TopLogprobs"/>
    /// alternatives through the prompt <c>Reasoning/Solve</c>, and to end with code 0 once everything is there.
    /// </summary>
    public required Func<string, string, string, ProcessStartInfo> Collector { get; init; }

    /// <summary>Told what happens, a line at a time.</summary>
    public Action<string> Log { get; init; } = _ => { };

    public const int MaxTokens = 100;
    public const int TopLogprobs = 5;
}

using TraceDistill.Data.Problems;

namespace TraceDistill.Data.Contracts;

/// <summary>Checks a model's answer against the known one. Implementations are thread-safe.</summary>
public interface IVerifier
{
    /// <param name="text">The answer as the model wrote it, or its whole generation; null where there is none.</param>
    /// <param name="problem">The problem with its known answer.</param>
    Verdict Verify(string? text, Problem problem);

    /// <summary>The final answer of a text, whether it is right or not; null where there is none.</summary>
    /// <param name="text">The answer as the model wrote it, or its whole generation.</param>
    string? FindAnswer(string text);
}

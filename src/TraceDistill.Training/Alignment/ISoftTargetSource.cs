using System.Security.Cryptography;

namespace TraceDistill.Training.Alignment;

/// <summary>The soft targets of one sequence, wherever they are kept until a batch needs them.</summary>
public interface ISoftTargetSource
{
    /// <summary>The soft targets; the same at every call.</summary>
    SoftTargets Read();

    /// <summary>The memory that they are kept in, in bytes.</summary>
    long Bytes { get; }

    /// <summary>Adds everything that decides them to <paramref name="hash"/>.</summary>
    void AppendTo(IncrementalHash hash);
}

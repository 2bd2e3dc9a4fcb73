using TraceDistill.Data.Contracts;

namespace TraceDistill.Evaluation;

/// <summary>One model to be measured.</summary>
public sealed record EvaluatedModel
{
    /// <summary>Its name in the report and in file names.</summary>
    public required string Name { get; init; }

    /// <summary>Answers the problems.</summary>
    public required ITextGenerator Generator { get; init; }

    /// <summary>In which words it is asked.</summary>
    public required AskedAs Asked { get; init; }

    /// <summary>
    /// Tells its weights from others of the same name (a content hash), so that answers of older weights are not taken for its own.
    /// </summary>
    /// <value>The name.</value>
    public string? Identity { get; init; }

    /// <summary>The model directory, stage or URL, as given.</summary>
    public string? Source { get; init; }

    /// <summary>Number of parameters, where known.</summary>
    public long? Parameters { get; init; }

    /// <summary>Measures its distributions against the teacher's; null for models behind an endpoint.</summary>
    public ITraceScorer? Scorer { get; init; }
}

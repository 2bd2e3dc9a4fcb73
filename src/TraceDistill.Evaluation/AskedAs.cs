using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Text.Chat;

namespace TraceDistill.Evaluation;

/// <summary>The way one model is asked.</summary>
/// <param name="Prompt">Name of the prompt.</param>
/// <param name="Render">The conversation that puts a problem; the second argument is the sample's index.</param>
/// <param name="MaxTokens">Longest answer in tokens.</param>
public sealed record AskedAs(string Prompt, Func<Problem, int, IReadOnlyList<ChatMessage>> Render, int MaxTokens)
{
    /// <summary>True for a model that is asked by the problems' pictures, whose places are in what is rendered.</summary>
    public bool ByPicture { get; init; }

    /// <summary>More fields of each request, see <see cref="SamplingSettings.ExtraBody"/>.</summary>
    public string? ExtraBody { get; init; }

    /// <summary>The prompts that it was trained on, where that is something else; null where it is the same, or not known.</summary>
    public string? TrainedOn { get; init; }
}

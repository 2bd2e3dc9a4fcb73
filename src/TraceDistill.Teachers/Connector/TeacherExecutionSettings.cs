using Microsoft.SemanticKernel;
using TraceDistill.Core.Generation;

namespace TraceDistill.Teachers.Connector;

/// <summary>Carries this project's sampling settings through Semantic Kernel, and who is to be told that an answer is there.</summary>
sealed class TeacherExecutionSettings(SamplingSettings sampling, Action? received) : PromptExecutionSettings
{
    public SamplingSettings Sampling { get; } = sampling;

    public Action? Received { get; } = received;
}

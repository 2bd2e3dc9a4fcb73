using Microsoft.SemanticKernel;
using TraceDistill.Core.Generation;

namespace TraceDistill.Teachers.Connector;

/// <summary>Carries this project's sampling settings through Semantic Kernel.</summary>
sealed class TeacherExecutionSettings(SamplingSettings sampling) : PromptExecutionSettings
{
    public SamplingSettings Sampling { get; } = sampling;
}

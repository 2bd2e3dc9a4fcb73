using Microsoft.SemanticKernel;
using TraceDistill.Core.Generation;

namespace TraceDistill.Teachers.Connector;

/// <summary>Carries this project's sampling settings through Semantic Kernel, and who is to be told how much of the answer is there.</summary>
sealed class TeacherExecutionSettings(SamplingSettings sampling, AnswerProgress? progress) : PromptExecutionSettings
{
    public SamplingSettings Sampling { get; } = sampling;

    public AnswerProgress? Progress { get; } = progress;
}

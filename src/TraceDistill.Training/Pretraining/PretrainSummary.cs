namespace TraceDistill.Training.Pretraining;

/// <summary>Result of <c>pretrain</c>.</summary>
/// <param name="Parameters">Number of weights.</param>
/// <param name="VocabularySize">Ids of the tokenizer.</param>
/// <param name="Steps">Updates.</param>
/// <param name="Loss">Mean cross entropy of the last update, nats.</param>
public sealed record PretrainSummary(long Parameters, int VocabularySize, long Steps, double Loss);

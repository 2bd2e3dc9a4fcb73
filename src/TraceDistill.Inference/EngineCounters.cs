namespace TraceDistill.Inference;

/// <summary>Counters of what an engine is doing and has done.</summary>
/// <param name="Running">Sequences being generated.</param>
/// <param name="Waiting">Sequences waiting for room.</param>
/// <param name="PromptTokens">Prompt tokens worked out since the start; what sequences share of a prompt counts once.</param>
/// <param name="GeneratedTokens">Tokens drawn since the start.</param>
/// <param name="ExitedTokens">Tokens that left at an early exit since the start.</param>
public readonly record struct EngineCounters(int Running, int Waiting, long PromptTokens, long GeneratedTokens, long ExitedTokens = 0);

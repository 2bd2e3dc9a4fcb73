namespace TraceDistill.TestServer.Teaching;

/// <summary>What a teacher generates, before a server puts it into its own form.</summary>
/// <param name="Text">All of it, with the think tags that were generated.</param>
/// <param name="Reasoning">What is thought; empty where nothing is.</param>
/// <param name="Answer">What is said after it.</param>
/// <param name="Tokens">Every token drawn, the tags of the reasoning and the end of the sequence included.</param>
/// <param name="PromptTokenIds">The rendered prompt.</param>
/// <param name="FinishReason"><c>stop</c> or <c>length</c>.</param>
public sealed record TeacherAnswer(
    string Text, string Reasoning, string Answer, IReadOnlyList<TeacherToken> Tokens, int[] PromptTokenIds, string FinishReason = "stop");

/// <summary>A token drawn, its logprob, and the likeliest tokens in its place, best first.</summary>
public sealed record TeacherToken(int Id, float Logprob, IReadOnlyList<Alternative> Alternatives);

/// <summary>A token with its natural-log probability.</summary>
public readonly record struct Alternative(int Id, float Logprob);

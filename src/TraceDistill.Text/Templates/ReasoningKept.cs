namespace TraceDistill.Text.Templates;

/// <summary>Where a template leaves the reasoning of an assistant's turns standing.</summary>
/// <param name="InHistory">In turns that the conversation has gone on after. False: the template strips thinking from history.</param>
/// <param name="InLastTurn">In the turn that the conversation ends with.</param>
public sealed record ReasoningKept(bool InHistory, bool InLastTurn);

namespace TraceDistill.Teachers.Resilience;

/// <summary>
/// The request was not sent and is not to be: what is left of the budget may not be enough for it, or the run is stopping. No failure.
/// </summary>
sealed class NotSentException() : Exception("the request was not sent");

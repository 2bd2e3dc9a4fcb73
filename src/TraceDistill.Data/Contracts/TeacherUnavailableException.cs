using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Contracts;

/// <summary>
/// No request to this teacher can succeed at present (gone, key refused, model not offered, no logprobs): a run stops, keeping what it has,
/// where a plain <see cref="ExternalFailureException"/> costs one sample.
/// </summary>
public sealed class TeacherUnavailableException(string message, Exception? inner = null) : ExternalFailureException(message, inner);

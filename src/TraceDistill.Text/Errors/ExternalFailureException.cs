namespace TraceDistill.Text.Errors;

/// <summary>
/// Something outside the program failed (an endpoint, a failing disk) and retrying can help: exit code 3. The message
/// is one line that says what was being done, to which item, and what to do. It never holds a key or prompt text.
/// </summary>
public class ExternalFailureException(string message, Exception? inner = null) : Exception(message, inner);

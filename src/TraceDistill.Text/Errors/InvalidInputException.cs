namespace TraceDistill.Text.Errors;

/// <summary>
/// The user's input, configuration or usage is wrong and retrying cannot help: exit code 2. The message is one line that names the file
/// (with line and field where there is one) or the setting, and says what to do.
/// </summary>
public class InvalidInputException(string message, Exception? inner = null) : Exception(message, inner);

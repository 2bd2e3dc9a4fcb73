using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Contracts;

/// <summary>A model cannot score this text, whatever is done, while it may score others.</summary>
/// <param name="reason">The reason in words that hold for all such texts, such as <c>too long for the teacher's context</c>.</param>
/// <param name="message">One line that names the text.</param>
public sealed class UnscorableTextException(string reason, string message, Exception? inner = null) : InvalidInputException(message, inner)
{
    /// <summary>The reason of a text that the model's context cannot hold.</summary>
    public const string TooLong = "too long for the teacher's context";

    public string Reason => reason;
}

using System.Security.Cryptography;
using System.Text;
using TraceDistill.Text.Chat;

namespace TraceDistill.Data.Problems;

/// <summary>The id of a problem that has none of its own.</summary>
public static class ProblemId
{
    /// <returns>16 lower-case hexadecimal digits: the first 64 bits of the SHA-256 of the problem's text.</returns>
    public static string Of(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 8));

    /// <summary>The id of a question after other turns, which are part of what is asked.</summary>
    public static string Of(string text, IReadOnlyList<ChatMessage> earlier) =>
        Of(string.Concat(earlier.Select(turn => $"{turn.Role}\0{turn.Content}\0")) + text);
}

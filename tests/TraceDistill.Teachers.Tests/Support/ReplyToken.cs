namespace TraceDistill.Teachers.Tests.Support;

/// <summary>One generated token as a server knows it, with the alternatives it reports (the drawn token among them, where it is).</summary>
/// <param name="Id">Its id.</param>
/// <param name="Text">Its text; empty for an end-of-sequence token, whose text is not shown.</param>
/// <param name="Logprob">Natural logarithm of its probability.</param>
/// <param name="Top">The alternatives, in the server's order.</param>
sealed record ReplyToken(int Id, string Text, double Logprob, params (int Id, string Text, double Logprob)[] Top)
{
    /// <summary>How <see cref="EndOfSequence"/> is written by servers that name it.</summary>
    public const string EndOfSequenceText = "<|im_end|>";

    public const int EndOfSequenceId = 0;

    /// <summary>The token that ends a generation.</summary>
    public static ReplyToken EndOfSequence { get; } =
        new(EndOfSequenceId, EndOfSequenceText, -0.25, (EndOfSequenceId, EndOfSequenceText, -0.25), (10, "\n", -1.75));

    /// <summary>
    /// A token for each character of <paramref name="text"/>, its code as its id, each with two alternatives beside itself.
    /// </summary>
    public static ReplyToken[] Characters(string text) =>
        [
            .. text.Select(c => new ReplyToken(
                c,
                $"{c}",
                -0.5,
                (c, $"{c}", -0.5),
                (c + 1, $"{(char)(c + 1)}", -1.5),
                (c + 2, $"{(char)(c + 2)}", -2.5)
            )),
        ];
}

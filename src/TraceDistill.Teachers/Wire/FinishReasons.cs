namespace TraceDistill.Teachers.Wire;

/// <summary>Why generations end, of those words that mean something to this program.</summary>
static class FinishReasons
{
    /// <summary>The longest allowed answer was reached.</summary>
    public const string Length = "length";

    /// <summary>The model declined: no server's word but a label of this program, whatever the server said.</summary>
    public const string Refusal = "refusal";
}

namespace TraceDistill.Text.Tokenizers.Spans;

/// <summary>A stretch of text, in UTF-16 units.</summary>
readonly record struct Piece(int Start, int Length);

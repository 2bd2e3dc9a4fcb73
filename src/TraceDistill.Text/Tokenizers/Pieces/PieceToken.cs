namespace TraceDistill.Text.Tokenizers.Pieces;

/// <summary>A token of a piece, and how many bytes (UTF-8) of the piece it stands for.</summary>
readonly record struct PieceToken(int Id, int Length);

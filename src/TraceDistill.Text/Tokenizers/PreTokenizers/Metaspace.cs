using System.Runtime.InteropServices;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers.PreTokenizers;

/// <summary>SentencePiece's mark in place of spaces, and before the text.</summary>
/// <param name="mark">Stands for a space.</param>
/// <param name="prepends">Where text that does not begin with it gets one.</param>
sealed class Metaspace(char mark, MetaspacePrepending prepends)
{
    public char Mark => mark;

    public MetaspacePrepending Prepends => prepends;

    /// <param name="text">A stretch between added tokens.</param>
    /// <param name="isStart">True where the whole text begins with it.</param>
    /// <param name="alignment">Records what was changed; null where that is not wanted.</param>
    /// <param name="buffer">Receives the result.</param>
    public ReadOnlySpan<char> Apply(ReadOnlySpan<char> text, bool isStart, TextAlignment? alignment, List<char> buffer)
    {
        buffer.Clear();
        var isWanted = prepends == MetaspacePrepending.Always || (prepends == MetaspacePrepending.First && isStart);
        if (isWanted && text[0] != ' ' && text[0] != mark)
        {
            alignment?.Prepend(1);
            buffer.Add(mark);
        }

        buffer.AddRange(text);
        var marked = CollectionsMarshal.AsSpan(buffer);
        marked.Replace(' ', mark);
        return marked;
    }
}

/// <summary>Where text gets a mark before it.</summary>
public enum MetaspacePrepending
{
    /// <summary>At its start and after each added token.</summary>
    Always,

    /// <summary>At its start.</summary>
    First,

    Never,
}

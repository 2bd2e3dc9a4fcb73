using System.Buffers;

namespace TraceDistill.Data.Shards.Parquet;

/// <summary>
/// Repetition and definition levels of a one-deep list column, as Parquet defines them: an entry for each element, and one for each row
/// without elements. Repetition is 0 where a row begins and 1 within it; definition counts how far down the path something exists.
/// </summary>
sealed class LevelBuffer(int maxDefinition)
{
    /// <summary>Memory of the two levels of one element.</summary>
    public const int BytesPerElement = 2 * sizeof(int);

    const int NullList = 0;
    const int EmptyList = 1;

    readonly ArrayBufferWriter<int> _definition = new();
    readonly ArrayBufferWriter<int> _repetition = new();

    public ReadOnlyMemory<int> Definition => _definition.WrittenMemory;

    public ReadOnlyMemory<int> Repetition => _repetition.WrittenMemory;

    /// <summary>Adds a row.</summary>
    /// <param name="length">Elements in its list; null where there is no list.</param>
    public void Append(int? length)
    {
        var entries = Math.Max(length ?? 0, 1);
        var definition = _definition.GetSpan(entries)[..entries];
        definition.Fill(
            length switch
            {
                null => NullList,
                0 => EmptyList,
                _ => maxDefinition,
            }
        );
        _definition.Advance(entries);

        var repetition = _repetition.GetSpan(entries)[..entries];
        repetition.Fill(1);
        repetition[0] = 0;
        _repetition.Advance(entries);
    }

    public void Clear()
    {
        _definition.ResetWrittenCount();
        _repetition.ResetWrittenCount();
    }
}

namespace TraceDistill.Data.Shards.Parquet;

/// <summary>A column of lists: all elements one behind the other, and where each row's begin.</summary>
sealed class ListColumn<T>
{
    readonly T[] _values;
    readonly int[] _starts; // [rows + 1]
    readonly bool[] _present; // [rows]

    ListColumn(T[] values, int[] starts, bool[] present)
    {
        _values = values;
        _starts = starts;
        _present = present;
    }

    public int Rows => _present.Length;

    /// <summary>The elements of a row; null where it has no list.</summary>
    public ReadOnlyMemory<T>? this[int row] =>
        _present[row] ? _values.AsMemory(_starts[row].._starts[row + 1]) : default(ReadOnlyMemory<T>?);

    /// <summary>Puts rows together from Parquet's levels; see <see cref="LevelBuffer"/>.</summary>
    /// <returns>null where an element itself is missing.</returns>
    public static ListColumn<T>? Create(T[] values, int[] definition, int[] repetition, int maxDefinition, bool nullable)
    {
        var emptyLevel = nullable ? 1 : 0;
        var rows = repetition.AsSpan().Count(0);
        var starts = new int[rows + 1];
        var present = new bool[rows];
        var row = -1;
        var taken = 0;
        for (var i = 0; i < repetition.Length; i++)
        {
            if (repetition[i] == 0)
            {
                starts[++row] = taken;
                present[row] = definition[i] >= emptyLevel;
            }

            if (definition[i] == maxDefinition)
            {
                taken++;
            }
            else if (definition[i] > emptyLevel)
            {
                return null;
            }
        }

        if (rows > 0)
        {
            starts[rows] = taken;
        }

        return new ListColumn<T>(values, starts, present);
    }
}

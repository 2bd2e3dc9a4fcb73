using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TraceDistill.Inference.Sampling;

/// <summary>The k largest of a row of logits without sorting the row.</summary>
static class TopSelection
{
    /// <summary>Fills the spans, both k long, by descending logit; of equal logits the lower id comes first.</summary>
    /// <returns>The number found: k, or fewer where the row is shorter or holds NaN.</returns>
    /// <remarks>Most vectors of a row hold nothing above the k-th largest so far, and are passed over with one comparison.</remarks>
    public static int Select(ReadOnlySpan<float> logits, Span<int> ids, Span<float> values)
    {
        if (ids.IsEmpty)
        {
            return 0;
        }

        var count = 0;
        var vectors = MemoryMarshal.Cast<float, Vector512<float>>(logits);
        for (var v = 0; v < vectors.Length; v++)
        {
            if (count == ids.Length && Vector512.LessThanOrEqualAll(vectors[v], Vector512.Create(values[^1])))
            {
                continue;
            }

            var start = v * Vector512<float>.Count;
            count = Insert(logits.Slice(start, Vector512<float>.Count), start, ids, values, count);
        }

        var rest = vectors.Length * Vector512<float>.Count;
        return Insert(logits[rest..], rest, ids, values, count);
    }

    static int Insert(ReadOnlySpan<float> logits, int firstId, Span<int> ids, Span<float> values, int count)
    {
        for (var i = 0; i < logits.Length; i++)
        {
            var logit = logits[i];
            if (float.IsNaN(logit) || (count == values.Length && logit <= values[^1]))
            {
                continue;
            }

            var place = count == values.Length ? count - 1 : count++;
            for (; place > 0 && values[place - 1] < logit; place--)
            {
                (values[place], ids[place]) = (values[place - 1], ids[place - 1]);
            }

            (values[place], ids[place]) = (logit, firstId + i);
        }

        return count;
    }
}

namespace TraceDistill.Data.Shards.Codec;

/// <summary>One row of soft targets as it stands in the code: whole numbers only.</summary>
sealed class QuantizedRow(int k)
{
    /// <summary>Stands for a tail without mass.</summary>
    public const int NoTail = int.MinValue;

    /// <summary>Alternatives in the row, 0…k.</summary>
    public int Count;

    /// <summary>[k] their ids, best first.</summary>
    public readonly int[] Ids = new int[k];

    /// <summary>[k] their distance to the best one in steps of <see cref="LogprobGrid"/>, rising from 0.</summary>
    public readonly int[] Steps = new int[k];

    /// <summary>The same for the mass of all other tokens, which may be negative; or <see cref="NoTail"/>.</summary>
    public int TailSteps;

    /// <summary>Rank of the token drawn, or <see cref="Count"/> where it is not among the alternatives.</summary>
    public int SampledRank;

    /// <summary>The token drawn.</summary>
    public int SampledId;

    /// <summary>Its distance to the best alternative (to certainty where there is none); may be negative.</summary>
    public int SampledSteps;
}

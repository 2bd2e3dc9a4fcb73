using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;

namespace TraceDistill.Training;

/// <summary>One of the data sets that a student learns from, written as its path alone or as a map.</summary>
public sealed record TraceSet : IParsable<TraceSet>
{
    [InputPath]
    [Description("Folder of trace shards, or one Parquet file")]
    public required string Path { get; init; }

    /// <summary>
    /// At any time a set has had its share of the tokens, whatever its size: one that was gone
    /// through begins anew in another order, as often as it takes.
    /// </summary>
    /// <value>None: all sets are one, shuffled together.</value>
    [Range(1e-6, 1e6, ErrorMessage = "must be from 0.000001 to 1000000")]
    [Description("Weight of the data set: its share of the tokens relative to the others; every set has one, or none has")]
    public double? Weight { get; init; }

    public static implicit operator TraceSet(string path) => new() { Path = path };

    public static TraceSet Parse(string s, IFormatProvider? provider) => s;

    public static bool TryParse(string? s, IFormatProvider? provider, out TraceSet result)
    {
        result = s ?? "";
        return s is not null;
    }
}

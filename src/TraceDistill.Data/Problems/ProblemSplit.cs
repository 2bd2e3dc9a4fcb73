using System.Security.Cryptography;
using System.Text;

namespace TraceDistill.Data.Problems;

/// <summary>Which side of the fixed train/held-out border a generated problem lies on.</summary>
public enum ProblemSplit
{
    /// <summary>Fifteen of sixteen keys.</summary>
    Train,

    /// <summary>One of sixteen keys, never trained on.</summary>
    HeldOut,
}

static class ProblemSplits
{
    /// <summary>The side of a problem depends on what it asks alone, so no seed, count or phrasing moves it.</summary>
    public static ProblemSplit Of(string family, string key) =>
        SHA256.HashData(Encoding.UTF8.GetBytes($"{family} {key}"))[0] % 16 == 0 ? ProblemSplit.HeldOut : ProblemSplit.Train;
}

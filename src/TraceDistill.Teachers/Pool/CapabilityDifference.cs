using TraceDistill.Data.Shards;

namespace TraceDistill.Teachers.Pool;

/// <summary>Tells whether two endpoints make the same kind of traces.</summary>
static class CapabilityDifference
{
    /// <returns>Differences of the second from the first, or null.</returns>
    public static string? Between(TeacherCapabilities first, TeacherCapabilities second)
    {
        if (second.TokenIdentity != first.TokenIdentity)
        {
            return $"names tokens by their {second.TokenIdentity.ToString().ToLowerInvariant()}";
        }

        if (second.TopLogprobs != first.TopLogprobs)
        {
            return $"grants {second.TopLogprobs} alternatives a token";
        }

        return second.Logprobs != first.Logprobs
            ? $"reports {second.Logprobs?.ToString().ToLowerInvariant() ?? "no kind of"} logprobs"
            : null;
    }
}

using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Connector;

/// <summary>Bound of a response in bytes, compression undone: a body past it is a fault, and is not read to its end.</summary>
static class ResponseBound
{
    const long Plain = 16 << 20;

    /// <summary>About six times what an alternative takes in the longest of the known forms.</summary>
    const long EachAlternative = 1024;

    public static long Of(SamplingSettings sampling) =>
        Math.Min(Array.MaxLength, Plain + (sampling.MaxTokens * (1L + sampling.TopLogprobs) * EachAlternative));
}

/// <summary>A response was longer than any answer to its request can be.</summary>
sealed class ResponseTooLargeException(long most)
    : Exception($"the response is longer than {most >> 20} MiB, more than any answer to this request can be");

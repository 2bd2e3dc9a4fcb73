using TraceDistill.Inference.Sequences;

namespace TraceDistill.Inference.Tests;

/// <summary>Holds a sequence, and its engine's thread, at each token until a signal is given.</summary>
sealed class WaitFor(ManualResetEventSlim signal) : ITokenSink
{
    public bool Append(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
    {
        signal.Wait();
        return true;
    }
}

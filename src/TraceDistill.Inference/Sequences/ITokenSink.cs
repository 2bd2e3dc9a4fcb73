using TraceDistill.Data.Generation;

namespace TraceDistill.Inference.Sequences;

/// <summary>Follows one sequence while it is generated: to stream it, or to end it when its text says so.</summary>
public interface ITokenSink
{
    /// <summary>Called before the first token, where the prompt is scored; by default nothing is done with it.</summary>
    /// <param name="logprobs">Of the prompt from its second token on.</param>
    void AppendPrompt(TokenLogprobs logprobs) { }

    /// <summary>Called on the engine's thread, in order, so it must be quick. The spans are valid during the call only.</summary>
    /// <param name="token">The token drawn; an end-of-sequence token comes here too.</param>
    /// <param name="logprob">Its natural-log probability before temperature; NaN where no logprobs were asked for.</param>
    /// <param name="topIds">The likeliest tokens, by descending probability.</param>
    /// <param name="topLogprobs">Their natural-log probabilities.</param>
    /// <returns>False to end the sequence after this token.</returns>
    bool Append(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs);
}

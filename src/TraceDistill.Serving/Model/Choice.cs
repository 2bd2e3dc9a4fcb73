using TraceDistill.Inference.Sequences;

namespace TraceDistill.Serving.Model;

/// <summary>One finished choice of a response.</summary>
/// <param name="Prompt">The prompt's token ids.</param>
/// <param name="Text">The text generated.</param>
/// <param name="Result">Its tokens and logprobs.</param>
sealed record Choice(int[] Prompt, string Text, SequenceResult Result)
{
    /// <summary><c>stop</c> for an end-of-sequence token or a stop string, <c>length</c> for neither.</summary>
    public string FinishReason => Result.Stopped ? "stop" : "length";
}

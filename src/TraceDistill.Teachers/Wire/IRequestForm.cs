using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Wire;

/// <summary>Form in which a generation is asked for and its answer is read.</summary>
interface IRequestForm
{
    /// <summary>The body of the request.</summary>
    ReadOnlyMemory<byte> Write(
        Dialect dialect,
        string model,
        IReadOnlyList<ChatMessage> messages,
        SamplingSettings sampling,
        bool isStreamed
    );

    /// <summary>Reads the response to it.</summary>
    /// <exception cref="WireFormatException">The response is not what the protocol promises.</exception>
    GenerationResult Read(ReadOnlySpan<byte> json, SamplingSettings sampling, ReplyForm form);
}

/// <summary>Chat completions, which all servers but SGLang's own route speak.</summary>
sealed class ChatForm : IRequestForm
{
    public ReadOnlyMemory<byte> Write(
        Dialect dialect,
        string model,
        IReadOnlyList<ChatMessage> messages,
        SamplingSettings sampling,
        bool isStreamed
    ) => ChatRequestWriter.Write(dialect, model, messages, sampling, isStreamed);

    public GenerationResult Read(ReadOnlySpan<byte> json, SamplingSettings sampling, ReplyForm form) =>
        CompletionReader.Read(json, sampling.TopLogprobs, form);
}

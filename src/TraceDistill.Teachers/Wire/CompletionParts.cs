using System.Buffers;
using System.Text;
using TraceDistill.Data.Generation;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Wire;

/// <summary>Parts of one generation that have been read so far: a response, or the pieces of a stream one after the other.</summary>
/// <param name="topLogprobs">Alternatives asked for; with 0, logprobs are ignored.</param>
sealed class CompletionParts(int topLogprobs)
{
    /// <summary>Most characters of the server's word for the end that are kept.</summary>
    public const int LongestFinishReason = 100;

    readonly StringBuilder _content = new();
    readonly StringBuilder _reasoning = new();
    readonly StringBuilder _reasoningDetails = new();
    readonly StringBuilder _refusal = new();
    readonly List<int> _tokenIds = [];

    /// <summary>Null where no logprobs were asked for.</summary>
    public LogprobTokens? Logprobs { get; } = topLogprobs > 0 ? new LogprobTokens(topLogprobs) : null;

    public string? FinishReason { get; set; }

    public string? Model { get; set; }

    public int[]? PromptTokenIds { get; set; }

    public int? PromptTokens { get; set; }

    public int? CompletionTokens { get; set; }

    public bool HasChoice { get; set; }

    /// <summary>True where there was a member for the answer, if only an empty one.</summary>
    public bool HasContent { get; set; }

    public ToolCallParts ToolCalls { get; } = new();

    /// <summary>Characters and tokens read: grows with all that a model generated.</summary>
    public long Extent =>
        _content.Length + _reasoning.Length + _reasoningDetails.Length + _refusal.Length + (Logprobs?.Listed ?? 0) + ToolCalls.Extent;

    /// <summary>More of the generation.</summary>
    /// <param name="content">Of the answer, or of all the text.</param>
    /// <param name="reasoning">Of the reasoning, where the server tells it apart.</param>
    /// <param name="reasoningDetails">Of the same in OpenRouter's other form.</param>
    /// <param name="refusal">Of a refusal in place of an answer.</param>
    public void Add(string? content, string? reasoning, string? reasoningDetails, string? refusal)
    {
        _content.Append(content);
        _reasoning.Append(reasoning);
        _reasoningDetails.Append(reasoningDetails);
        _refusal.Append(refusal);
    }

    public void AddTokenIds(IEnumerable<int> ids) => _tokenIds.AddRange(ids);

    /// <summary>The whole generation.</summary>
    /// <exception cref="WireFormatException">It is none.</exception>
    public GenerationResult ToResult(ReplyForm form)
    {
        if (!HasChoice)
        {
            throw new WireFormatException("the response has no choices");
        }

        var ownReasoning =
            _reasoning.Length > 0 ? LenientText.Whole(_reasoning)
            : _reasoningDetails.Length > 0 ? LenientText.Whole(_reasoningDetails)
            : null;
        var isRefused = _refusal.Length > 0;
        var toolCalls = ToolCalls.ToJson();
        if (
            !HasContent
            && ownReasoning is null
            && toolCalls is null
            && !isRefused
            && !(FinishReason is not null && FinishReasons.IsRefusal(FinishReason))
        )
        {
            throw new WireFormatException("choices[0].message has neither content nor reasoning");
        }

        if (FinishReason is "error")
        {
            throw new WireFormatException($"the server aborted the generation (finish_reason {FinishReason})");
        }

        var finishReason = isRefused ? FinishReasons.Refusal : FinishReason ?? FinishReasons.Unknown;
        var content = LenientText.Whole(isRefused && _content.Length == 0 ? _refusal : _content);
        var (reasoning, answer) = ownReasoning is null
            ? ReasoningSplitter.Split(content, form.OpensThinking && !FinishReasons.IsNatural(finishReason), form.Markers)
            : (ownReasoning.Trim(), content.Trim());
        var (logprobs, lack) = isRefused ? (null, null) : ReadLogprobs(form, reasoning, answer);
        return new GenerationResult
        {
            Reasoning = reasoning,
            Answer = answer,
            Text = ownReasoning is null ? content : ReasoningSplitter.Join(ownReasoning, content),
            ToolCalls = toolCalls,
            FinishReason = finishReason,
            Model = Model,
            PromptTokenIds = PromptTokenIds,
            PromptTokens = PromptTokens ?? PromptTokenIds?.Length ?? 0,
            CompletionTokens = logprobs?.Count ?? CompletionTokens ?? _tokenIds.Count,
            Logprobs = logprobs,
            LogprobLack = lack,
        };
    }

    /// <summary>
    /// Logprobs of a part are none: a student would learn a sequence with holes. Parts are missing where a
    /// server keeps its reasoning to itself, and where tokens end within a character (llama.cpp lists only
    /// whole ones). The count of tokens tells, and where tokens are named by their bytes, these do as well.
    /// </summary>
    (TokenLogprobs? Logprobs, LogprobLack? Lack) ReadLogprobs(ReplyForm form, string reasoning, string answer)
    {
        if (Logprobs is null)
        {
            return (null, null);
        }

        if (!Logprobs.Found)
        {
            return (null, new LogprobLack("returned no logprobs", IsPartial: false));
        }

        var logprobs = Logprobs.ToTokenLogprobs(_tokenIds);
        if (logprobs is not null && (CompletionTokens ?? 0) - logprobs.Count > (form.ListsEndOfSequence && !Logprobs.IsEndUntold ? 0 : 1))
        {
            Logprobs.Spoil($"returned logprobs for {logprobs.Count} of {CompletionTokens} tokens", isPartial: true);
        }
        else if (
            logprobs?.TokenBytes is { } names
            && !(Spells(names, logprobs.TokenIds, reasoning) && Spells(names, logprobs.TokenIds, answer))
        )
        {
            Logprobs.Spoil("returned logprobs for tokens that do not spell its text", isPartial: true);
        }

        return Logprobs.Lack is { } lack ? (null, lack) : (logprobs, null);
    }

    /// <summary>Returns whether a text is among what the tokens spell.</summary>
    static bool Spells(byte[][] names, int[] tokenIds, string text)
    {
        // Bytes that are no character are told as one that stands for any.
        if (text.Contains('\uFFFD'))
        {
            return true;
        }

        var spelled = new ArrayBufferWriter<byte>();
        foreach (var id in tokenIds)
        {
            spelled.Write(names[id]);
        }

        return spelled.WrittenSpan.IndexOf(Encoding.UTF8.GetBytes(text)) >= 0;
    }
}

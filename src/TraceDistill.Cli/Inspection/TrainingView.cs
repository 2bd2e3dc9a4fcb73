using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Cli.Inspection;

/// <summary>One token of a training sequence.</summary>
/// <param name="Text">Bytes that are no whole character, and control characters, as <c>\x1B</c>.</param>
/// <param name="Trained">True where the student learns to write it; the rest is context.</param>
sealed record TrainingTokenView(int Id, string Text, bool Trained);

/// <summary>A trace as a student is trained on it: the tokens that the trainer gets, as text.</summary>
sealed record TrainingView
{
    /// <summary>Context, then what is trained on, each to be read by people.</summary>
    readonly TextStretch[] _stretches;

    TrainingView(TextStretch[] stretches) => _stretches = stretches;

    public required string Id { get; init; }

    public required string FinishReason { get; init; }

    /// <summary>True where there is a distribution to match for each trained token, false for the hard loss alone.</summary>
    public required bool SoftTargets { get; init; }

    /// <summary>
    /// True where the student's template takes the thinking out of earlier turns; the turn that is trained keeps its own.
    /// </summary>
    public required bool StripsThinking { get; init; }

    /// <summary>Index of the first token that is trained on; all behind it are.</summary>
    public required int FirstTrained { get; init; }

    /// <summary>The whole sequence.</summary>
    public required string Text { get; init; }

    public required IReadOnlyList<TrainingTokenView> Tokens { get; init; }

    /// <summary>Remarks on the teacher's prompt, end and logprobs: a line each.</summary>
    public required IReadOnlyList<string> Remarks { get; init; }

    public static TrainingView Of(
        Trace trace,
        TraceTokens sequence,
        Tokenizer tokenizer,
        ChatTemplate template,
        IReadOnlyList<string> remarks
    ) =>
        new([
            new(Visible(sequence.Ids.AsSpan(0, sequence.FirstTrained), tokenizer), IsEmphasised: false),
            new(Visible(sequence.Ids.AsSpan(sequence.FirstTrained), tokenizer), IsEmphasised: true),
        ])
        {
            Id = trace.Id,
            FinishReason = trace.FinishReason,
            SoftTargets = sequence.Soft is not null,
            Remarks = remarks,
            StripsThinking = template.ProbeReasoning(asField: false) is { InHistory: false },
            FirstTrained = sequence.FirstTrained,
            Text = tokenizer.Decode(sequence.Ids),
            Tokens =
            [
                .. sequence.Ids.Select(
                    (id, index) => new TrainingTokenView(id, VisibleText.Of(tokenizer.GetBytes(id)), index >= sequence.FirstTrained)
                ),
            ],
        };

    public void Print(IRunObserver observer)
    {
        var losses = SoftTargets ? "soft targets and hard loss" : "hard loss alone";
        var unfinished = FinishReasons.IsNatural(FinishReason) ? "" : $"; unfinished ({FinishReason}), so train leaves it out";
        observer.Message($"{Id}: {losses}{unfinished}");
        foreach (var remark in Remarks)
        {
            observer.Message(remark);
        }

        if (StripsThinking)
        {
            observer.Message(
                "the chat template strips thinking from history, as the student will be prompted; what it is trained on keeps its own"
            );
        }

        observer.Message([
            new($"{FirstTrained} tokens of context, then ", IsEmphasised: false),
            new($"{Tokens.Count - FirstTrained} tokens that are trained on", IsEmphasised: true),
            new(":", IsEmphasised: false),
        ]);
        observer.Message(_stretches);
    }

    /// <summary>Characters may be spread over several tokens, so the bytes are put together first.</summary>
    static string Visible(ReadOnlySpan<int> ids, Tokenizer tokenizer)
    {
        var bytes = new List<byte>();
        foreach (var id in ids)
        {
            bytes.AddRange(tokenizer.GetBytes(id));
        }

        return VisibleText.Of(bytes.ToArray());
    }
}

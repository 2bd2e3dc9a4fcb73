using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Labels;
using TraceDistill.Data.Options;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Training.Classification;

/// <summary>One task of a <c>classify</c> stage: labelled texts, and what is labelled.</summary>
public sealed record LabelTask
{
    [InputPath]
    [Description("File of texts with their labels: JSON Lines, JSON (both also .gz) or Parquet")]
    public required string File { get; init; }

    /// <value>Null: a share of file, by eval_fraction.</value>
    [InputPath]
    [Description("File of further texts with labels to evaluate on while the student learns; unless given, eval_fraction of file")]
    public string? EvalFile { get; init; }

    /// <value>sequence.</value>
    [Description("Labelled unit: sequence, a whole text read at its last token, or token, each token of it")]
    public LabelKind Kind { get; init; }

    /// <value>text, or the usual names of a problem.</value>
    [Description("Field that holds the text; unless given, text, or one of the usual names of a problem")]
    public string? Text { get; init; }

    /// <value>label, of tokens spans.</value>
    [Description(
        "Field that holds the label, or a map of labels to probabilities; of kind token a list of spans, each a map with start, end "
            + "(in characters, end behind the span) and label; unless given, label or spans"
    )]
    public string? Label { get; init; }

    /// <value>Those of the file in the order of their names; of tokens behind O, which stands for no label.</value>
    [Description("Labels in the order of their ids; unless given, those that occur, by name, of kind token behind O")]
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>Its vocabulary and family may be others: it reads the same texts. Lines without labels learn from it alone.</summary>
    /// <value>None.</value>
    [InputPath]
    [Description("Model directory of a classifier of the same labels that teaches by its probabilities (kd_alpha, kd_temperature)")]
    public string? Teacher { get; init; }

    /// <value>1.</value>
    [Range(0.0, 1e6, ErrorMessage = "must be from 0 to 1000000")]
    [Description("Weight of the task's mean loss beside the others'")]
    public double Weight { get; init; } = 1;

    /// <value>Null: by the size of its file, and sampling_temperature.</value>
    [Range(1e-9, 1e9, ErrorMessage = "must be above 0")]
    [Description("Share of the task in the tokens of each step; unless given, its size to the power of 1 / sampling_temperature")]
    public double? Share { get; init; }

    internal LabelFields Fields =>
        new()
        {
            Text = Text,
            Label = Kind == LabelKind.Sequence ? Label ?? "label" : null,
            Spans = Kind == LabelKind.Token ? Label ?? "spans" : null,
            MayBeUnlabelled = Teacher is not null,
        };
}

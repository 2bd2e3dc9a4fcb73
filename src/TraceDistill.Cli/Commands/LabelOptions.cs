using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>label</c>.</summary>
sealed record LabelOptions : IDeviceOptions, IValidatableObject
{
    /// <value>None: model is the one.</value>
    [InputPath]
    [Description("Classifiers by name, each a model directory; all label the same texts and are compared")]
    public IReadOnlyDictionary<string, string> Models { get; init; } = new Dictionary<string, string>();

    [InputPath]
    [Description("Single classifier, a model directory")]
    public string? Model { get; init; }

    [InputPath]
    [Description("File of texts: JSON Lines, JSON (both also .gz) or Parquet; where it has labels, they are compared with")]
    public required string File { get; init; }

    /// <value>text, or the usual names of a problem.</value>
    [Description("Field that holds the text; unless given, text, or one of the usual names of a problem")]
    public string? Text { get; init; }

    /// <value>label, of tokens spans.</value>
    [Description(
        "Field that holds the true label, or a map of labels to probabilities; of tokens a list of spans; unless given, label or spans"
    )]
    public string? Label { get; init; }

    /// <value>Null: a longer text than a model has positions is an error.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Tokens that longer texts are cut to; unless given, one that is longer than the model's positions is an error")]
    public int? MaxLength { get; init; }

    /// <value>4,096 tokens.</value>
    [Operational]
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Tokens of one forward pass; bounds memory")]
    public int MicroBatchTokens { get; init; } = 4_096;

    /// <value>0: one for each core.</value>
    [Operational]
    [Range(0, 1024, ErrorMessage = "must be from 0 to 1024")]
    [Description("Threads; 0 is one for each core")]
    public int Workers { get; init; }

    /// <summary>Threads on this machine.</summary>
    internal int ResolveWorkers() => Workers > 0 ? Workers : Environment.ProcessorCount;

    /// <value>auto.</value>
    [Operational]
    [Description("Device to compute on: cpu, cuda, cuda:N, or auto, a GPU where there is one")]
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

    /// <summary>All of them by name.</summary>
    internal IEnumerable<KeyValuePair<string, string>> All => Model is { } one ? [KeyValuePair.Create("model", one)] : Models;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Model is null == (Models.Count == 0))
        {
            yield return new ValidationResult(
                (Model is null ? "is required: " : "leave one of the two out: ") + "either model, a directory, or models, several by name",
                [nameof(Model)]
            );
        }
    }
}

using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training;

/// <summary>One of the teachers of a student, written as a model directory alone or as a map.</summary>
public sealed record TeacherChoice : IParsable<TeacherChoice>, IValidatableObject
{
    /// <summary>Its vocabulary is the student's; of another one, scores are aligned.</summary>
    /// <value>None.</value>
    [InputPath]
    [Description("Model directory of a teacher that is run while the student learns")]
    public string? Model { get; init; }

    /// <summary>
    /// They are joined to the traces by position and id, and hold its soft targets of the very text. One of another vocabulary is aligned.
    /// </summary>
    /// <value>None.</value>
    [InputPath]
    [Description("Folder that score wrote for the traces; or several, one for each data set")]
    public IReadOnlyList<string> Scores { get; init; } = [];

    /// <value>False.</value>
    [Description("Use the soft targets that stand in the traces themselves, of whoever wrote or scored them")]
    public bool Traces { get; init; }

    /// <value>1.</value>
    [Range(0.0, 1e6, ErrorMessage = "must be from 0 to 1000000")]
    [Description("Weight of the teacher beside the others, at each token of which it says something")]
    public double Weight { get; init; } = 1;

    /// <value>0 for the soft targets of the traces themselves, of others their weight.</value>
    [Range(0.0, 1e6, ErrorMessage = "must be from 0 to 1000000")]
    [Description(
        "Weight at traces whose answer was found incorrect, with teacher_weights: verdict; unless given, 0 for the soft targets of the "
            + "traces themselves, and for others their weight"
    )]
    public double? IncorrectWeight { get; init; }

    /// <value>auto: the student's device.</value>
    [Operational]
    [Description("Device that a model runs on: cpu, cuda, cuda:N, or auto, the student's")]
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

    /// <value>Null: what its files have.</value>
    [Description("Precision that a model's weights are held in: float32 or bfloat16; as its files have it unless given")]
    public MasterDtype? Dtype { get; init; }

    /// <summary>Names it in messages.</summary>
    internal string Name => Model ?? (Traces ? "traces" : string.Join(", ", Scores));

    /// <summary>Weight at traces whose answer was found incorrect, where the verdict decides.</summary>
    internal double WeightAtIncorrect => IncorrectWeight ?? (Traces ? 0 : Weight);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if ((Model is null ? 0 : 1) + (Scores.Count > 0 ? 1 : 0) + (Traces ? 1 : 0) != 1)
        {
            yield return new ValidationResult(
                "a teacher is one of three: model, a model directory, scores, a folder that score wrote, or traces: true",
                [nameof(Model)]
            );
        }

        if (Model is null && (Device != DeviceChoice.Auto || Dtype is not null))
        {
            yield return new ValidationResult("goes with model", [Dtype is not null ? nameof(Dtype) : nameof(Device)]);
        }
    }

    public static implicit operator TeacherChoice(string model) => new() { Model = model };

    public static TeacherChoice Parse(string s, IFormatProvider? provider) => s;

    public static bool TryParse(string? s, IFormatProvider? provider, out TeacherChoice result)
    {
        result = s ?? "";
        return s is not null;
    }
}

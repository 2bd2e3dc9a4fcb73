using TraceDistill.Data.Options;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distillation;

/// <summary>The teachers of a training beside the soft targets of its traces: one model, or several of which some may be models.</summary>
sealed class TrainingTeachers : IDisposable
{
    readonly IReadOnlyList<(TeacherChoice Choice, TeacherModel Model)> _models;

    TrainingTeachers(IReadOnlyList<(TeacherChoice Choice, TeacherModel Model)> models) => _models = models;

    /// <summary>The model that teaches alone; null where none does.</summary>
    public TeacherModel? Single => Panel is null ? _models.Select(teacher => teacher.Model).FirstOrDefault() : null;

    /// <summary>Several teachers; null where there are none.</summary>
    public TeacherPanel? Panel { get; private init; }

    /// <summary>Weights of those that are models.</summary>
    public IEnumerable<IDecoderWeights> Weights => _models.Select(teacher => teacher.Model.Weights);

    /// <summary>Loads the models that a training's options name as its teachers.</summary>
    /// <param name="options">Name them.</param>
    /// <param name="student">The student's tokenizer.</param>
    /// <param name="trained">The student, whose frozen base may be a teacher itself.</param>
    /// <exception cref="InvalidInputException">One is not there, or of another vocabulary than the student's.</exception>
    public static TrainingTeachers Load(TrainOptions options, Tokenizer student, TrainedWeights trained)
    {
        var models = new List<(TeacherChoice, TeacherModel)>();
        try
        {
            foreach (var choice in options.RunTeachers)
            {
                models.Add((choice, Load(choice, options, student, trained)));
            }
        }
        catch
        {
            models.ForEach(loaded => loaded.Item2.Dispose());
            throw;
        }

        var stored = 0;
        return new TrainingTeachers(models)
        {
            Panel =
                options.Teachers.Count < 2
                    ? null
                    : new TeacherPanel
                    {
                        Members =
                        [
                            .. options.Teachers.Select(teacher => new PanelMember(
                                teacher.Model is null ? stored++ : null,
                                teacher.Weight,
                                options.TeacherWeights == TeacherWeights.Verdict ? teacher.WeightAtIncorrect : teacher.Weight
                            )),
                        ],
                        Models = [.. models.Select(teacher => teacher.Item2)],
                        Rule = options.TeacherWeights,
                        Average = options.TeacherAverage,
                        Gate =
                            options.TeacherWeights == TeacherWeights.Gate
                                ? new TeacherGate(options.Teachers.Count, trained.Model.Configuration.HiddenSize)
                                : null,
                    },
        };
    }

    /// <summary>Refuses sequences that a model has no positions for.</summary>
    /// <param name="longest">Tokens of the longest sequence.</param>
    /// <exception cref="InvalidInputException">There are some.</exception>
    public void EnsureFit(int longest)
    {
        foreach (var (choice, model) in _models)
        {
            model.EnsureFits(longest, Panel is null ? "teacher: it" : $"teachers: {choice.Name}");
        }
    }

    /// <summary>Bytes that they come to take on the student's device.</summary>
    public long BytesOn(Device device, ComputeDtype dtype) =>
        _models
            .Where(teacher => DeviceOf(teacher.Choice, device) is var own && (own.type, own.index) == (device.type, device.index))
            .Sum(teacher => teacher.Model.BytesOn(device, dtype));

    /// <summary>Takes each to where it runs.</summary>
    /// <param name="device">The student's.</param>
    /// <param name="dtype">Precision of their products.</param>
    public void MoveTo(Device device, ComputeDtype dtype)
    {
        foreach (var (choice, model) in _models)
        {
            model.MoveTo(DeviceOf(choice, device), dtype);
        }
    }

    /// <summary>A line on several teachers; null where there are none.</summary>
    public static string? Describe(TrainOptions options) =>
        options.Teachers.Count < 2
            ? null
            : $"teachers: {string.Join(", ", options.Teachers.Select(Each))}; weights by "
                + $"{TrainOptions.NameOf(options.TeacherWeights)}, averaged as {TrainOptions.NameOf(options.TeacherAverage)}";

    public void Dispose()
    {
        foreach (var (_, model) in _models)
        {
            model.Dispose();
        }
    }

    static string Each(TeacherChoice teacher) => FormattableString.Invariant($"{teacher.Name} ({teacher.Weight})");

    static TeacherModel Load(TeacherChoice choice, TrainOptions options, Tokenizer student, TrainedWeights trained)
    {
        var (directory, setting) = (choice.Model!, options.Teacher is null ? "teachers" : "teacher");
        if (!ModelDirectory.LoadTokenizer(directory).Extends(student))
        {
            throw new InvalidInputException(
                $"{setting}: {directory} does not have the student's vocabulary; attach its distributions to the traces with the verb "
                    + "score, whose soft targets are aligned"
            );
        }

        var isBase = trained.Adapter is not null && options.Student is { } own && Same(own, directory);
        if (isBase && choice.Dtype is null && choice.Device == DeviceChoice.Auto)
        {
            return new TeacherModel(trained.Model, isOwned: false);
        }

        return new TeacherModel(
            choice.Dtype == MasterDtype.Float32
                ? ModelDirectory.Load(directory)
                : LoadAs(directory, choice.Dtype, options.Teacher is null ? "teachers: dtype" : "teacher_dtype"),
            isOwned: true
        );
    }

    static bool Same(string a, string b) =>
        Path.TrimEndingDirectorySeparator(Path.GetFullPath(a)) == Path.TrimEndingDirectorySeparator(Path.GetFullPath(b));

    /// <summary>Where a teacher runs.</summary>
    /// <param name="choice">May name a device of its own.</param>
    /// <param name="student">The student's device.</param>
    static Device DeviceOf(TeacherChoice choice, Device student) => choice.Device == DeviceChoice.Auto ? student : choice.Device.Resolve();

    static IDecoderWeights LoadAs(string directory, MasterDtype? dtype, string setting)
    {
        var weights = ModelDirectory.LoadFrozen(directory);
        if (dtype == MasterDtype.BFloat16 && weights.Dtype == TensorDtype.Float16)
        {
            weights.Dispose();
            throw new InvalidInputException($"{setting}: {directory} is in 16 bits of another kind, float16; leave it out");
        }

        if (dtype == MasterDtype.BFloat16 && weights is ModelParameters parameters)
        {
            parameters.HoldAs(ScalarType.BFloat16);
        }

        return weights;
    }
}

using TraceDistill.Data.Options;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distillation;

/// <summary>Finds the model that a training's options name as its teacher.</summary>
static class TeacherLoading
{
    /// <summary>Loads the teacher of a training.</summary>
    /// <param name="options">Name it.</param>
    /// <param name="student">The student's tokenizer.</param>
    /// <param name="trained">The student, whose frozen base may be the teacher itself.</param>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="InvalidInputException">It is not there, or of another vocabulary than the student's.</exception>
    public static TeacherModel? Load(TrainOptions options, Tokenizer student, TrainedWeights trained)
    {
        if (options.Teacher is not { } directory)
        {
            return null;
        }

        var tokenizer = ModelDirectory.LoadTokenizer(directory);
        if (!tokenizer.Extends(student))
        {
            throw new InvalidInputException(
                $"teacher: {directory} does not have the student's vocabulary; attach its distributions to the traces with the verb "
                    + "score, whose soft targets are aligned"
            );
        }

        var isBase = trained.Adapter is not null && options.Student is { } own && Same(own, directory);
        if (isBase && options.TeacherDtype is null && options.TeacherDevice == DeviceChoice.Auto)
        {
            return new TeacherModel(trained.Model, isOwned: false);
        }

        return new TeacherModel(
            options.TeacherDtype == MasterDtype.Float32 ? ModelDirectory.Load(directory) : LoadAs(directory, options.TeacherDtype),
            isOwned: true
        );
    }

    static bool Same(string a, string b) =>
        Path.TrimEndingDirectorySeparator(Path.GetFullPath(a)) == Path.TrimEndingDirectorySeparator(Path.GetFullPath(b));

    /// <summary>Where the teacher runs.</summary>
    /// <param name="options">May name a device of its own.</param>
    /// <param name="student">The student's device.</param>
    public static Device DeviceOf(TrainOptions options, Device student) =>
        options.TeacherDevice == DeviceChoice.Auto ? student : options.TeacherDevice.Resolve();

    static IDecoderWeights LoadAs(string directory, MasterDtype? dtype)
    {
        var weights = ModelDirectory.LoadFrozen(directory);
        if (dtype == MasterDtype.BFloat16 && weights.Dtype == TensorDtype.Float16)
        {
            weights.Dispose();
            throw new InvalidInputException($"teacher_dtype: {directory} is in 16 bits of another kind, float16; leave it out");
        }

        if (dtype == MasterDtype.BFloat16 && weights is ModelParameters parameters)
        {
            parameters.HoldAs(ScalarType.BFloat16);
        }

        return weights;
    }
}

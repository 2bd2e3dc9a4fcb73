using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Optimization;
using static TorchSharp.torch;

namespace TraceDistill.Training.Teaching;

/// <summary>A model that teaches by its distributions: it runs over the student's own sequences, and nothing of it is stored.</summary>
public sealed class TeacherModel : IDisposable
{
    readonly bool _isOwned;
    RoundedMatrices? _rounded;

    /// <param name="weights">Of the student's vocabulary.</param>
    /// <param name="isOwned">True where they are disposed of with this.</param>
    public TeacherModel(IDecoderWeights weights, bool isOwned) => (Weights, _isOwned) = (weights, isOwned);

    /// <summary>Its weights; those of a LoRA student's base, where that is the teacher.</summary>
    public IDecoderWeights Weights { get; }

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
        if (!tokenizer.Extends(student) && !student.Extends(tokenizer))
        {
            throw new InvalidInputException(
                $"teacher: {directory} has another vocabulary than the student; attach its distributions to the traces with the verb "
                    + "score, whose soft targets are aligned"
            );
        }

        var isBase = trained.Adapter is not null && options.Student is { } own && Path.GetFullPath(own) == Path.GetFullPath(directory);
        if (isBase && options.TeacherDtype is null && options.TeacherDevice == Data.Options.DeviceChoice.Auto)
        {
            return new TeacherModel(trained.Model, isOwned: false);
        }

        return new TeacherModel(
            options.TeacherDtype == MasterDtype.Float32 ? ModelDirectory.Load(directory) : LoadAs(directory, options.TeacherDtype),
            isOwned: true
        );
    }

    /// <summary>Refuses sequences that it has no positions for.</summary>
    /// <param name="longest">Tokens of the longest sequence.</param>
    /// <exception cref="InvalidInputException">There are some.</exception>
    public void EnsureFits(int longest)
    {
        if (longest > Weights.Configuration.MaxPositionEmbeddings)
        {
            throw new InvalidInputException(
                $"teacher: it has {Weights.Configuration.MaxPositionEmbeddings} positions, and the longest sequence {longest} tokens; "
                    + $"set max_length: {Weights.Configuration.MaxPositionEmbeddings}"
            );
        }
    }

    /// <summary>Takes it to where it runs.</summary>
    /// <param name="options">Name the device and the precision of products.</param>
    /// <param name="student">The student's device.</param>
    public void MoveTo(TrainOptions options, Device student)
    {
        var device = options.TeacherDevice == Data.Options.DeviceChoice.Auto ? student : options.TeacherDevice.Resolve();
        Weights.MoveTo(device);
        _rounded = options.ComputeDtype.On(device) == ComputeDtype.BFloat16 ? new RoundedMatrices(Weights) : null;
    }

    /// <summary>A decoder over its weights, for a thread of its own.</summary>
    public Decoder NewDecoder()
    {
        // The CPU rounds what goes into a product; elsewhere all between the products is faster in 16 bits as well.
        var isRounded = Weights.Device.type != TorchSharp.DeviceType.CPU && _rounded is not null;
        return new Decoder(
            TrainedWeights.None(Weights),
            rounded: _rounded,
            activations: isRounded ? ScalarType.BFloat16 : ScalarType.Float32
        );
    }

    public void Dispose()
    {
        _rounded?.Dispose();
        if (_isOwned)
        {
            Weights.Dispose();
        }
    }

    static IDecoderWeights LoadAs(string directory, MasterDtype? dtype)
    {
        var weights = ModelDirectory.LoadFrozen(directory);
        if (dtype == MasterDtype.BFloat16 && weights is ModelParameters parameters)
        {
            parameters.HoldAs(ScalarType.BFloat16);
        }

        return weights;
    }
}

using System.Globalization;
using TorchSharp;
using TraceDistill.Data.Contracts;
using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Optimization;
using static TorchSharp.torch;

namespace TraceDistill.Training;

/// <summary>
/// An estimate of the memory that a training takes, made before its first step, when its data and weights are there already.
/// </summary>
public static class TrainingMemory
{
    /// <summary>Tells what the training will take, in memory and time.</summary>
    /// <param name="device">Where it computes. What is on a GPU already is not counted.</param>
    /// <param name="longest">Tokens of the longest sequence.</param>
    /// <param name="data">Bytes of sequences that are read while it goes on, and not there yet.</param>
    /// <param name="teacher">Bytes that a teacher beside it comes to take, on the same device.</param>
    /// <exception cref="InvalidInputException">It takes more memory than this process may have, or than the GPU has.</exception>
    public static void Ensure(
        OptimizationOptions options,
        TrainedWeights trained,
        Device device,
        int longest,
        IRunObserver observer,
        long data = 0,
        long teacher = 0
    )
    {
        var isCpu = device.type == DeviceType.CPU;
        var needed =
            (isCpu ? Environment.WorkingSet + data : Held(options, trained)) + teacher + Estimate(options, trained, longest, device);
        // How much of a GPU's activations libtorch keeps was never measured: what is refused there is what cannot fit even without them.
        var least = isCpu ? needed : needed - Activations(options, trained.Model.Configuration, trained.Count, longest, device);
        EnsureFit(least, isCpu ? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes : CudaMemory.Total(device), options, device, longest);

        var time = TrainingTime.Estimate(options, trained.Model.Configuration, device);
        observer.Message(
            $"estimate: {Gigabytes(needed)} of {(isCpu ? "memory" : $"{device}'s memory")}, {TrainingTime.Words(time)} for "
                + $"{options.MaxSteps.ToString("N0", CultureInfo.InvariantCulture)} steps if nothing else runs here"
        );
    }

    /// <summary>Runs a training, and has the error say what to lower where the memory fills, whatever of it took the last of it.</summary>
    /// <param name="device">Where it computes.</param>
    /// <param name="longest">Tokens of the longest sequence.</param>
    /// <param name="training">All of it that takes memory on the device, from moving the weights there on.</param>
    /// <exception cref="InvalidInputException">Memory is full.</exception>
    public static FinishedTraining Advised(OptimizationOptions options, Device device, int longest, Func<FinishedTraining> training)
    {
        try
        {
            return training();
        }
        catch (Exception error) when (error is OutOfMemoryException || MemoryFailure.IsMemoryFull(error))
        {
            var advice = Advice(options, device, longest);
            throw new InvalidInputException(
                $"memory is full while training on {device}{(advice.Length > 0 ? $": {advice}" : "")}; "
                    + "with other workers or gradient_checkpointing it goes on from its last checkpoint, else it begins anew",
                error
            );
        }
    }

    /// <param name="limit">Bytes that there are; null where that is not known.</param>
    internal static void EnsureFit(long needed, long? limit, OptimizationOptions options, Device device, int longest)
    {
        if (needed > limit)
        {
            var advice = Advice(options, device, longest);
            var there = $"there are {Gigabytes(limit.Value)}{(device.type == DeviceType.CPU ? "" : $" on {device}")}";
            throw new InvalidInputException(
                $"this training takes about {Gigabytes(needed)}, and {there}{(advice.Length > 0 ? ": " + advice : "")}"
            );
        }
    }

    /// <summary>An estimate before anything is there: what a training of this shape takes at most beside its data, in bytes.</summary>
    /// <param name="options">Steps, precision and optimizer.</param>
    /// <param name="shape">Of the model.</param>
    /// <param name="longest">Tokens of the longest sequence; 0 where that is not known.</param>
    /// <exception cref="InvalidInputException">lora_target_modules names a layer that the model has not.</exception>
    public static long Estimate(OptimizationOptions options, ModelConfiguration shape, int longest = 0)
    {
        var total = ModelParameters.CountOf(shape);

        // What adapters stand beside is in 16 bits: of which kind is not known yet.
        var (trained, bytes) = options is TrainOptions { Adapters: { } adapters }
            ? (LoraAdapter.CountOf(shape, adapters), sizeof(ushort))
            : (total, options.MasterDtype.Bytes());
        var rounded = options.MasterDtype == MasterDtype.BFloat16 && options.QuantizationAware == QuantizationAware.None ? 0 : total;
        return (bytes * total) + Estimate(options, shape, rounded, trained, longest, CPU) + Along(options, shape, longest);
    }

    /// <summary>Bytes of models that learn beside the student: its average, and peers, which are trained as it is.</summary>
    static long Along(OptimizationOptions options, ModelConfiguration shape, int longest) =>
        options is not TrainOptions training
            ? 0
            : (
                training.SelfTeacherDecay is null
                    ? 0
                    : sizeof(float)
                        * (training.Adapters is { } adapters ? LoraAdapter.CountOf(shape, adapters) : ModelParameters.CountOf(shape))
            ) + training.Peers.Sum(peer => Estimate(training with { Peers = [] }, peer.ShapeBeside(shape), longest));

    /// <summary>Bytes of the weights during the training: of the model as it was loaded, beside adapters, or of what is trained.</summary>
    internal static long Held(OptimizationOptions options, TrainedWeights trained)
    {
        if (trained.Adapter is not { } adapter)
        {
            return options.MasterDtype.Bytes() * trained.Weights.Count;
        }

        var matrices = trained.Model.Matrices;
        return (matrices.ElementSize * matrices.numel()) + (sizeof(float) * (trained.Model.Count - matrices.numel() + adapter.Count));
    }

    /// <summary>Bytes that come to what is there before the first step.</summary>
    /// <remarks>
    /// A gradient for each lane, the moments, an average, weights that are held to, with their Fisher information, matrices rounded to
    /// bfloat16 or to a file's blocks, and, for each lane at work, what its forward pass keeps: of each layer the inputs of two norms and
    /// four products, the rotated queries, keys and values (or gates and states), and the gate; with checkpointing the layer's input alone.
    /// </remarks>
    internal static long Estimate(OptimizationOptions options, TrainedWeights trained, int longest, Device? device = null)
    {
        // What is held in bfloat16 is what products read.
        var isRounded = trained.Adapter is null ? options.MasterDtype == MasterDtype.BFloat16 : trained.Model.Dtype == TensorDtype.BFloat16;
        var unrounded = isRounded && options.QuantizationAware == QuantizationAware.None ? 0 : trained.Model.Count;
        return Estimate(options, trained.Model.Configuration, unrounded, trained.Count, longest, device ?? CPU);
    }

    /// <summary>
    /// Bytes of the logits of a chunk of tokens, of their copy where they have a soft cap, and of as much for what products need.
    /// </summary>
    /// <param name="isWhole">True where objectives look at whole distributions: logits and probabilities of both sides, and slopes.</param>
    /// <param name="teachers">Teachers whose whole distributions are averaged; 0 for none.</param>
    internal static long Head(ModelConfiguration shape, Device device, bool isWhole = false, int teachers = 0) =>
        (((shape.LogitSoftCap is null ? 2L : 3L) * (isWhole ? 4 : 1)) + (teachers > 0 ? (2L * teachers) + AverageCopies : 0))
        * sizeof(float)
        * ChunkedHead.RowsOf(shape.VocabSize, device.type)
        * shape.VocabSize;

    /// <summary>Beside logits and log-probabilities of each of several teachers: their sum, what is added to it, and a temporary.</summary>
    const int AverageCopies = 3;

    /// <param name="unrounded">Weights that are copied where products are in bfloat16, or read in a file's blocks.</param>
    static long Estimate(OptimizationOptions options, ModelConfiguration shape, long unrounded, long trained, int longest, Device device)
    {
        var rounded = options.ComputeDtype.On(device) == ComputeDtype.BFloat16 ? sizeof(ushort) * unrounded : 0;
        var isEvaluated = options is TrainOptions { EvalTraces: not null } or TrainOptions { EvalFraction: > 0 };
        var blocks = options.QuantizationAware == QuantizationAware.None ? 0 : (isEvaluated ? 2 : 1) * sizeof(float) * unrounded;
        return (LanesOf(options, trained, device) * sizeof(float) * trained)
            + blocks
            + WeightOptimizer.MomentBytes(options.Optim, trained, options.MasterDtype)
            + rounded
            + (options.EmaDecay > 0 ? sizeof(float) * trained : 0)
            + (options is TrainOptions { Ewc: not null } ? 2 * sizeof(float) * trained : 0)
            + Activations(options, shape, trained, longest, device);
    }

    /// <summary>Bytes that forward passes keep for the way back, and those of the head.</summary>
    internal static long Activations(OptimizationOptions options, ModelConfiguration shape, long trained, int longest, Device device)
    {
        long tokens = Math.Max(Math.Min(options.MicroBatchTokens, options.UpdateTokens), longest);
        var atWork = Math.Min(options.ResolveWorkers(), LanesOf(options, trained, device));
        // Between products in bfloat16 a GPU computes in it too.
        var isRounded = device.type != DeviceType.CPU && options.ComputeDtype.On(device) == ComputeDtype.BFloat16;
        long number = isRounded ? sizeof(ushort) : sizeof(float);
        var layer = tokens * Layer(shape, number);
        var kept = options.GradientCheckpointing
            ? (number * tokens * shape.HiddenSize * shape.NumHiddenLayers) + layer
            : layer * shape.NumHiddenLayers;
        var pictures = shape.Pictures is { } encoder ? Pictures(encoder, tokens) : 0;
        var states = options is TrainOptions { Objectives.Count: > 0 } compared ? States(compared, shape, tokens, longest) : 0;
        var head = Head(shape, device, options is TrainOptions { LooksAtWholeDistributions: true }, Averaged(options));
        return atWork * (kept + layer + pictures + states + head);
    }

    /// <summary>
    /// Bytes of the passes of models that teach behind longer prompts than the student's, which keep a layer at a time: as many sequences
    /// as the student's passes have, each as much longer as the longest is.
    /// </summary>
    /// <param name="options">Of the training.</param>
    /// <param name="teachers">Shapes of those that are run.</param>
    /// <param name="trained">Trained weights.</param>
    /// <param name="longest">Tokens of the student's longest sequence.</param>
    /// <param name="longestOfTeacher">Tokens of the longest that a teacher reads.</param>
    /// <param name="device">Where they run.</param>
    /// <value>0 where teachers read what the student reads: then theirs are the smaller part of what its own passes take.</value>
    internal static long TeacherPass(
        OptimizationOptions options,
        IReadOnlyList<ModelConfiguration> teachers,
        long trained,
        int longest,
        int longestOfTeacher,
        Device device
    )
    {
        if (longestOfTeacher <= longest || teachers.Count == 0)
        {
            return 0;
        }

        long tokens = Math.Max(Math.Min(options.MicroBatchTokens, options.UpdateTokens), longest);
        var atWork = Math.Min(options.ResolveWorkers(), LanesOf(options, trained, device));
        return atWork * (tokens * longestOfTeacher / longest) * teachers.Max(shape => Layer(shape, sizeof(float)));
    }

    /// <summary>Bytes that the forward pass of a layer keeps of a token.</summary>
    static long Layer(ModelConfiguration shape, long number)
    {
        var inner = Math.Max(
            shape.IntermediateSize,
            shape.Experts is { } experts ? (long)experts.NumExpertsPerToken * experts.IntermediateSize : 0
        );
        return (number * ((4L * shape.HiddenSize) + (3 * inner))) + Mixer(shape, number);
    }

    /// <summary>
    /// Bytes that an encoder of pictures keeps, were all tokens places of them: of each layer two norms with their inputs, queries, keys,
    /// values, what attention gives, and the MLP before and after its activation; pixels, and what the decoder gets.
    /// </summary>
    static long Pictures(PictureEncoderSettings encoder, long tokens) =>
        sizeof(float)
        * tokens
        * (
            (encoder.NumHiddenLayers * ((9L * encoder.HiddenSize) + (2L * encoder.IntermediateSize) + encoder.NumAttentionHeads))
            + (4L * encoder.HiddenSize)
            + (2L * encoder.PatchSize)
        );

    static int Averaged(OptimizationOptions options) =>
        options is TrainOptions { RunTeachers.Count: > 0, Teachers: { Count: > 1 and var count } } ? count : 0;

    /// <summary>Bytes of the weights of teachers that are run and there by now, as they are held, on the CPU.</summary>
    public static long Teachers(TrainOptions options) =>
        options
            .RunTeachers.Where(teacher => File.Exists(Path.Combine(teacher.Model!, ModelConfiguration.FileName)))
            .Sum(teacher =>
            {
                var count = ModelParameters.CountOf(ModelConfiguration.Load(teacher.Model!));
                var stored = Directory.GetFiles(teacher.Model!, "*.safetensors").Sum(file => new FileInfo(file).Length);
                var rounded = options.ComputeDtype.On(CPU) == ComputeDtype.BFloat16 ? sizeof(ushort) * count : 0;
                return rounded + (teacher.Dtype is { } dtype ? dtype.Bytes() * count : stored);
            });

    /// <summary>
    /// Bytes of what objectives compare, at most, were the teacher of the student's shape: states of both sides and their difference; of
    /// maps and relations what a softmax and its logarithm keep, too.
    /// </summary>
    static long States(TrainOptions options, ModelConfiguration shape, long tokens, int longest) =>
        options
            .ResolveObjectives()
            .Objectives.OfType<StateObjective>()
            .Sum(objective =>
                sizeof(float)
                * shape.NumHiddenLayers
                * tokens
                * (objective.Kind == StateKind.Hidden ? 4L * shape.HiddenSize : 6L * shape.NumAttentionHeads * longest)
            );

    /// <summary>
    /// Bytes that attention or a recurrence keeps of a token: queries, keys, values, what attention gives and a sum for each head; or
    /// gates, candidates, a state of float32 and what a convolution gives.
    /// </summary>
    static long Mixer(ModelConfiguration shape, long number) =>
        shape.Recurrence is { } recurrence
            ? (number * ((3L * recurrence.StateSize) + (recurrence.Tail > 0 ? shape.HiddenSize : 0)))
                + (sizeof(float) * recurrence.StateSize)
            : number * ((2L * shape.QuerySize) + (2L * shape.KeyValueSize) + shape.NumAttentionHeads);

    static long LanesOf(OptimizationOptions options, long trained, Device device) =>
        GradientWorkers.LanesOf(trained, options.UpdateTokens, options.MicroBatchTokens, device.type == DeviceType.CPU);

    /// <summary>Advice on what to change for less memory.</summary>
    internal static string Advice(OptimizationOptions options, Device device, int longest)
    {
        string?[] ways =
        [
            Math.Min(options.MicroBatchTokens, options.UpdateTokens) > longest
                ? $"lower micro_batch_tokens (now {options.MicroBatchTokens})"
                : null,
            options.GradientCheckpointing ? null : "set gradient_checkpointing: true",
            device.type == DeviceType.CPU && options.ResolveWorkers() > 1 ? $"lower workers (now {options.ResolveWorkers()})" : null,
            options.Optim == OptimizerKind.Adamw ? "take optim: adamw8bit" : null,
            options.MasterDtype == MasterDtype.Float32 && options is not TrainOptions { LoraR: not null }
                ? "take master_dtype: bfloat16"
                : null,
            options is TrainOptions { LoraR: null, Student: not null } ? "train adapters (lora_r: 16)" : null,
            options is TrainOptions { MaxLength: null } ? $"set max_length (the longest sequence has {longest} tokens)" : null,
        ];
        return string.Join(", ", ways.OfType<string>());
    }

    static string Gigabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB");
}

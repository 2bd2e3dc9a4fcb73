using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Optimization;
using static TorchSharp.torch;

namespace TraceDistill.Training;

/// <summary>An estimate of the time that a training takes on a device, made before its first step.</summary>
/// <remarks>
/// A step takes six operations for each weight and token (Kaplan et al., arXiv 2001.08361, section 2.1), nearly all of them in products
/// of a micro-batch with a matrix. How fast these are at the model's own sizes is measured, which takes a fraction of a second.
/// </remarks>
public static class TrainingTime
{
    /// <summary>Time of a step beside the products, in theirs: attention, the loss and the optimizer.</summary>
    const double Overhead = 1.2;

    /// <summary>
    /// Norms, rotations and gates go over each channel once: as long as a product takes with so
    /// many channels, as was seen from 0.4 to 124 million weights.
    /// </summary>
    const double OverheadChannels = 240;

    /// <summary>Operations of one product that is timed, at most: a tenth of a second on a slow core.</summary>
    const double MostOperations = 2e9;

    /// <summary>Weights of the matrix that is timed, at most.</summary>
    const long MostWeights = 1 << 24;

    const int MostProducts = 50;

    static readonly TimeSpan Measured = TimeSpan.FromMilliseconds(80);

    /// <summary>Rates that were measured: trainings of one shape get one estimate.</summary>
    static readonly ConcurrentDictionary<
        (string Device, ComputeDtype Dtype, int Workers, int Tokens, int Inner, int Columns),
        double
    > Rates = [];

    /// <param name="options">Steps, tokens of a step, precision and workers.</param>
    /// <param name="shape">Of the model.</param>
    /// <param name="device">Where it computes.</param>
    public static TimeSpan Estimate(OptimizationOptions options, ModelConfiguration shape, Device device)
    {
        // A GPU is one worker.
        var workers = device.type == DeviceType.CPU ? options.ResolveWorkers() : 1;
        var dtype = options.ComputeDtype.On(device);
        var rate = Rates.GetOrAdd((device.ToString(), dtype, workers, options.MicroBatchTokens, shape.HiddenSize, Widest(shape)), key =>
            MeasureRate(key.Workers, key.Tokens, shape, device, key.Dtype)
        );
        return Estimate(options, shape, rate);
    }

    /// <inheritdoc cref="Estimate(OptimizationOptions, ModelConfiguration, Device)"/>
    /// <param name="rate">Operations a second of all workers together.</param>
    internal static TimeSpan Estimate(OptimizationOptions options, ModelConfiguration shape, double rate)
    {
        var weights = InProducts(shape);

        // Forward, and back to inputs and weights: frozen weights have no gradient, and checkpointing goes forward twice.
        var products = (options is TrainOptions { LoraR: not null } ? 2 : 3) + (options.GradientCheckpointing ? 1 : 0);
        // Teachers go forward alone. What is not there yet is not counted.
        var taught = options is TrainOptions { RunTeachers: var teachers }
            ? teachers
                .Where(teacher => File.Exists(Path.Combine(teacher.Model!, ModelConfiguration.FileName)))
                .Sum(teacher => ModelParameters.CountOf(ModelConfiguration.Load(teacher.Model!)))
            : 0;
        // A student's average goes forward as a teacher does; of peers each is trained, and goes forward once for each other one.
        long[] peers = options is TrainOptions { Peers: var others } ? [.. others.Select(peer => InProducts(peer.ShapeBeside(shape)))] : [];
        var along =
            (options is TrainOptions { SelfTeacherDecay: not null } ? weights : 0)
            + (peers.Length * weights)
            + peers.Sum(peer => (products + peers.Length) * peer);
        var operations = 2.0 * ((products * weights) + taught + along) * options.UpdateTokens * options.MaxSteps;
        var seconds = (Overhead + (OverheadChannels / shape.HiddenSize)) * operations / rate;
        return TimeSpan.FromSeconds(Math.Min(seconds, TimeSpan.MaxValue.TotalSeconds / 2));
    }

    /// <summary>Weights that a token goes through.</summary>
    /// <remarks>
    /// An embedding that is only looked up is in no product; one that is the output projection too is. Of the experts a token takes a few.
    /// </remarks>
    static long InProducts(ModelConfiguration shape) =>
        ModelParameters.CountOf(shape)
        - (shape is { TieWordEmbeddings: true, Head: null } ? 0 : (long)shape.VocabSize * shape.HiddenSize)
        - IdleWeights(shape);

    static long IdleWeights(ModelConfiguration shape) =>
        shape.Experts is not { } experts
            ? 0
            : (experts.NumExperts - experts.NumExpertsPerToken)
                * 3L
                * experts.IntermediateSize
                * shape.HiddenSize
                * Enumerable.Range(0, shape.NumHiddenLayers).Count(shape.HasExperts);

    /// <summary>Rows of the largest matrix of a layer.</summary>
    static int Widest(ModelConfiguration shape) => Math.Max(shape.IntermediateSize, shape.Recurrence?.StateSize ?? 0);

    /// <summary>A time that is known to half of it or so.</summary>
    public static string Words(TimeSpan time) =>
        time switch
        {
            { TotalMinutes: < 1.5 } => "about a minute",
            { TotalMinutes: < 90 } => string.Create(CultureInfo.InvariantCulture, $"about {time.TotalMinutes:0} minutes"),
            { TotalHours: < 36 } => string.Create(CultureInfo.InvariantCulture, $"about {time.TotalHours:0} hours"),
            _ => string.Create(CultureInfo.InvariantCulture, $"about {time.TotalDays:N0} days"),
        };

    /// <summary>
    /// Operations a second when every worker multiplies a micro-batch with the widest matrix of a layer, as
    /// all do in training. The best of some products counts: what slows the others down are other programs.
    /// </summary>
    internal static double MeasureRate(int workers, int microBatchTokens, ModelConfiguration shape, Device device, ComputeDtype dtype)
    {
        long inner = shape.HiddenSize,
            columns = Math.Max(1, Math.Min(Widest(shape), MostWeights / inner));
        var rows = (long)Math.Clamp(MostOperations / (2.0 * inner * columns), 1, microBatchTokens);
        var type = dtype == ComputeDtype.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
        var rates = new double[workers];
        new Cores(workers).Each(workers, worker =>
        {
            using var scope = NewDisposeScope();
            var (x, weights) = (ones(rows, inner, type, device), ones(columns, inner, type, device).t());
            var y = x.matmul(weights); // The first product loads code.
            var (start, best) = (Stopwatch.GetTimestamp(), TimeSpan.MaxValue);
            for (var i = 0; i == 0 || (i < MostProducts && Stopwatch.GetElapsedTime(start) < Measured); i++)
            {
                Finish();
                var before = Stopwatch.GetTimestamp();
                y.addmm_(x, weights, beta: 0, alpha: 1);
                Finish();
                best = Stopwatch.GetElapsedTime(before) is var taken && taken < best ? taken : best;
            }

            rates[worker] = 2.0 * rows * inner * columns / best.TotalSeconds;
        });
        return rates.Sum();

        // A GPU computes behind the calls.
        void Finish()
        {
            if (device.type == DeviceType.CUDA)
            {
                cuda.synchronize(device);
            }
        }
    }
}

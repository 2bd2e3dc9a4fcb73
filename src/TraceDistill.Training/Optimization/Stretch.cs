using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// Neighbouring weights that are updated alike: what a device is asked to do takes longer to ask for than to do for
/// one small weight. On the CPU, threads take one stretch after another, which are cut alike for any number of them.
/// </summary>
/// <param name="Weight">The first one's place among the weights.</param>
/// <param name="Gradient">Its place in the gradient.</param>
/// <param name="Moment">Its place in <see cref="Moments"/>.</param>
/// <param name="Count">Number of elements.</param>
/// <param name="IsDecayed">True where weight decay is theirs: vectors are exempt.</param>
readonly record struct Stretch(long Weight, long Gradient, long Moment, long Count, bool IsDecayed)
{
    /// <summary>Weights of a stretch in libtorch's operations, whose temporary tensors take 64 megabytes each.</summary>
    const int MostOfTensors = 1 << 24;

    /// <summary>Weights of a stretch for kernels: enough that handing it to a thread costs nothing, few enough to share evenly.</summary>
    const int MostOfKernels = 1 << 16;

    /// <summary>The stretches of some of the trained weights.</summary>
    /// <param name="names">In the order of their moments.</param>
    public static IReadOnlyList<Stretch> Of(TrainedWeights trained, IEnumerable<string> names)
    {
        var (whole, moment) = (new List<Stretch>(), 0L);
        foreach (var name in names)
        {
            var shape = trained.Weights.ShapeOf(name);
            var next = new Stretch(
                trained.Weights.OffsetOf(name),
                trained.OffsetOf(name)!.Value,
                moment,
                shape.ElementCount(),
                shape.IsMatrix()
            );
            moment += next.Count;
            if (whole.Count > 0 && whole[^1].IsBefore(next))
            {
                whole[^1] = whole[^1] with { Count = whole[^1].Count + next.Count };
            }
            else
            {
                whole.Add(next);
            }
        }

        return [.. whole.SelectMany(stretch => stretch.Cut(trained.TakesKernels ? MostOfKernels : MostOfTensors))];
    }

    /// <summary>The weights, in float32 on the CPU.</summary>
    public Span<float> ValuesOf(TrainedWeights trained) => trained.Weights.Flat.Slice(Weight, (int)Count);

    /// <summary>Their gradient, in float32 on the CPU.</summary>
    public ReadOnlySpan<float> SlopesOf(FloatBuffer gradient) => gradient.Slice(Gradient, (int)Count);

    /// <summary>The weights.</summary>
    public Tensor WeightsOf(TrainedWeights trained) => trained.Weights.Flat.Vector.narrow(0, Weight, Count);

    /// <summary>Their gradient.</summary>
    public Tensor GradientOf(FloatBuffer gradient) => gradient.Vector.narrow(0, Gradient, Count);

    bool IsBefore(Stretch next) =>
        IsDecayed == next.IsDecayed && Weight + Count == next.Weight && Gradient + Count == next.Gradient && Moment + Count == next.Moment;

    IEnumerable<Stretch> Cut(int most)
    {
        for (var first = 0L; first < Count; first += most)
        {
            yield return new Stretch(Weight + first, Gradient + first, Moment + first, Math.Min(most, Count - first), IsDecayed);
        }
    }
}

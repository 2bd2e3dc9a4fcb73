using TraceDistill.Models;

namespace TraceDistill.Training.Optimization;

/// <summary>The pieces that an update is made in, which are cut alike for any number of workers.</summary>
static class UpdatePieces
{
    /// <summary>Updates each piece by itself: by kernels several at a time, in libtorch's operations one after the other.</summary>
    public static void ForEach<T>(
        IReadOnlyList<T> pieces,
        TrainedWeights trained,
        OptimizationOptions options,
        Action<T> kernels,
        Action<T> plain
    )
    {
        if (trained.TakesKernels)
        {
            Parallel.ForEach(pieces, new ParallelOptions { MaxDegreeOfParallelism = options.ResolveWorkers() }, kernels);
            return;
        }

        // In order: rounding at random goes by it.
        foreach (var piece in pieces)
        {
            plain(piece);
        }
    }
}

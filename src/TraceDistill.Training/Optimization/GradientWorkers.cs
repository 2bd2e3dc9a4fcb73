using System.Numerics.Tensors;
using TraceDistill.Core.Alignment;
using TraceDistill.Core.Packing;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Losses;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// Computes the gradient of a batch on several threads, each running whole micro-batches on one core with activations and a gradient of its
/// own: at small model sizes far faster than splitting every operation over the cores. The sequences are shared out by their lengths alone and
/// the workers' gradients are added in their order, so a result does not depend on timing.
/// </summary>
public sealed class GradientWorkers : IDisposable
{
    readonly Worker[] _workers;
    readonly Projection _projection;
    readonly int _microBatchTokens;
    readonly TrainedWeights _weights;

    /// <param name="weights">The weights all workers share, and which of them are trained.</param>
    /// <param name="workers">Threads.</param>
    /// <param name="microBatchTokens">Most tokens a forward pass takes at once.</param>
    /// <param name="dtype">Precision of the matrix products.</param>
    /// <param name="gradientCheckpointing">As <see cref="CausalLanguageModel"/> has it.</param>
    public GradientWorkers(TrainedWeights weights, int workers, int microBatchTokens, ComputeDtype dtype = ComputeDtype.Float32, bool gradientCheckpointing = false)
    {
        _weights = weights;
        _projection = new Projection(weights.Model, dtype);
        _workers = [.. Enumerable.Range(0, workers).Select(_ => new Worker(weights, _projection, gradientCheckpointing))];
        _microBatchTokens = microBatchTokens;
    }

    /// <summary>[trained weights] gradient of the summed loss after <see cref="Accumulate"/>.</summary>
    public FloatBuffer Gradient => _workers[0].Gradient;

    /// <summary>Bytes that the workers' passes so far have needed room for, beside weights and gradients.</summary>
    public long ActivationBytes => _workers.Sum(worker => worker.ActivationBytes);

    /// <summary>Sums loss and gradient over <paramref name="batch"/>, starting from zero.</summary>
    /// <param name="batch">The sequences of one update.</param>
    /// <param name="settings">Of the loss.</param>
    /// <param name="noise">What dropout and NEFTune draw from; without it there is neither.</param>
    public LossTotals Accumulate(IReadOnlyList<TraceTokens> batch, DistillationSettings settings, UpdateNoise? noise = null)
    {
        if (_weights.Adapter is { } adapter)
        {
            adapter.Refresh(); // the model's own weights are as they were
        }
        else
        {
            _projection.Refresh();
        }

        var shares = WorkSharing.Share([.. batch.Select(sequence => (long)sequence.Ids.Length)], _workers.Length);
        Parallel.For(0, _workers.Length, new ParallelOptions { MaxDegreeOfParallelism = _workers.Length }, index =>
        {
            _workers[index].Run(batch, SequencePacker.Split(shares[index], sequence => batch[sequence].Ids.Length, _microBatchTokens), settings, noise);
        });
        var totals = _workers[0].Totals;
        foreach (var worker in _workers.Skip(1))
        {
            Gradient.Add(worker.Gradient);
            totals.Add(worker.Totals);
        }

        return totals;
    }

    /// <summary>Euclidean norm of <see cref="Gradient"/>, summed in float64 over stretches of 4,096.</summary>
    public double GradientNorm()
    {
        var sum = 0.0;
        foreach (var (start, count) in Gradient.Pieces(4_096))
        {
            sum += TensorPrimitives.SumOfSquares<float>(Gradient.Slice(start, count));
        }

        return Math.Sqrt(sum);
    }

    public void Dispose()
    {
        foreach (var worker in _workers)
        {
            worker.Dispose();
        }

        _projection.Dispose();
    }

    sealed class Worker(TrainedWeights weights, Projection projection, bool gradientCheckpointing) : IDisposable
    {
        readonly CausalLanguageModel _model = new(weights, projection, gradientCheckpointing);
        readonly LanguageModelHead _head = new(weights.Model);
        LossTotals _totals;

        public FloatBuffer Gradient { get; } = new(weights.Count);

        public long ActivationBytes => _model.ActivationBytes;

        public LossTotals Totals => _totals;

        /// <param name="all">The sequences of the update.</param>
        /// <param name="pieces">Indices of this worker's, a pass at a time.</param>
        public void Run(IReadOnlyList<TraceTokens> all, IReadOnlyList<IReadOnlyList<int>> pieces, DistillationSettings settings, UpdateNoise? noise)
        {
            // The number of OpenMP threads is a setting of each thread, and libtorch's products read it.
            TorchSharp.torch.set_num_threads(1);
            Gradient.Clear();
            _totals = default;
            foreach (var piece in pieces)
            {
                var batch = PackedBatch.Create([.. piece.Select(sequence => all[sequence])]);
                _model.Forward(new TokenBatch(batch.Ids, batch.Lengths, batch.Rows), noise is { } update ? PassNoise.Create(update, piece, batch.Lengths) : null);
                _totals.Add(_head.ForwardBackward(_model, batch, settings, Gradient));
                _model.Backward(Gradient);
            }
        }

        public void Dispose()
        {
            _model.Dispose();
            _head.Dispose();
            Gradient.Dispose();
        }
    }
}

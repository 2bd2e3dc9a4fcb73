using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;

namespace TraceDistill.Training;

/// <summary>
/// Students that learn together (deep mutual learning, Zhang et al., arXiv 1706.00384, equations 5 and 7; with a larger one among them,
/// co-distillation, Anil et al., arXiv 1804.03235): each is taught by the others' distributions of the same step, averaged where there are
/// several. All gradients of a step are computed before any of its updates.
/// </summary>
public sealed class PeerGroup : IDisposable
{
    readonly IReadOnlyList<TeacherModel> _models;
    readonly List<Peer> _peers = [];

    /// <param name="options">Of the training; its optimizer is that of each.</param>
    /// <param name="first">The weights of the first student, which the training's loop updates itself.</param>
    /// <param name="others">Those of the others, on its device.</param>
    public PeerGroup(OptimizationOptions options, TrainedWeights first, IReadOnlyList<TrainedWeights> others)
    {
        TrainedWeights[] all = [first, .. others];
        var dtype = options.ComputeDtype.On(first.Model.Device);
        _models = [.. all.Select(weights => new TeacherModel(weights.Model, isOwned: false))];
        foreach (var model in _models)
        {
            model.MoveTo(first.Model.Device, dtype);
        }

        (Teacher, Panel) = TeachersOf(0);
        for (var i = 1; i < all.Length; i++)
        {
            var (teacher, panel) = TeachersOf(i);
            var workers = new GradientWorkers(
                all[i],
                options.ResolveWorkers(),
                options.MicroBatchTokens,
                dtype,
                options.GradientCheckpointing,
                teacher: teacher,
                panel: panel
            );
            _peers.Add(new Peer(all[i], workers, new WeightOptimizer(options, all[i])));
        }
    }

    /// <summary>What teaches the first student, where there is one other.</summary>
    public TeacherModel? Teacher { get; }

    /// <summary>What teaches the first student, where there are several others.</summary>
    public TeacherPanel? Panel { get; }

    /// <summary>True where losses and gradients of the last step are all numbers.</summary>
    public bool IsFinite => _peers.All(peer => double.IsFinite(peer.Totals!.Loss) && double.IsFinite(peer.GradientNorm));

    /// <summary>One whose gradient of the last step is 0, with its number from 1; null where there is none.</summary>
    internal (int Number, TrainedWeights Weights)? Idle =>
        _peers.FindIndex(peer => peer.GradientNorm == 0) is >= 0 and var index ? (index + 1, _peers[index].Weights) : null;

    /// <summary>Mean loss of each of the others at the last step.</summary>
    public IReadOnlyList<double> Losses => [.. _peers.Select(peer => peer.Totals!.Loss / peer.Totals.Tokens)];

    /// <summary>Computes the others' gradients, from the weights before the step.</summary>
    /// <inheritdoc cref="GradientWorkers.Accumulate"/>
    internal void Accumulate(IReadOnlyList<TraceTokens> batch, StepObjectives objectives, UpdateNoise? noise)
    {
        foreach (var peer in _peers)
        {
            peer.Totals = peer.Workers.Accumulate(batch, objectives with { Measures = false }, noise);
            peer.GradientNorm = peer.Workers.GradientNorm() / peer.Totals.Tokens;
        }
    }

    /// <summary>Updates the others, after the first student.</summary>
    /// <param name="options">Of the training.</param>
    /// <param name="learningRate">Of the step.</param>
    /// <param name="update">Counts from 1.</param>
    internal void Step(OptimizationOptions options, double learningRate, long update)
    {
        foreach (var peer in _peers)
        {
            var clip = options.ClipOf(peer.GradientNorm);
            peer.Optimizer.Step(peer.Workers.Gradient, clip / peer.Totals!.Tokens, learningRate, update);
        }

        Refresh();
    }

    /// <summary>Has all of them teach as they are now.</summary>
    internal void Refresh()
    {
        foreach (var model in _models)
        {
            model.Refresh();
        }
    }

    /// <inheritdoc cref="WeightOptimizer.Visit"/>
    internal void Visit(BytesVisitor visit)
    {
        foreach (var peer in _peers)
        {
            peer.Weights.Weights.Flat.Visit(visit);
            peer.Optimizer.Visit(visit);
        }
    }

    public void Dispose()
    {
        foreach (var peer in _peers)
        {
            peer.Workers.Dispose();
            peer.Optimizer.Dispose();
        }

        foreach (var model in _models)
        {
            model.Dispose();
        }
    }

    (TeacherModel? Single, TeacherPanel? Several) TeachersOf(int student)
    {
        TeacherModel[] others = [.. _models.Where((_, index) => index != student)];
        return others.Length == 1
            ? (others[0], null)
            : (null, new TeacherPanel { Members = [.. others.Select(_ => new PanelMember(null, 1, 1))], Models = others });
    }

    sealed record Peer(TrainedWeights Weights, GradientWorkers Workers, WeightOptimizer Optimizer)
    {
        public LossTotals? Totals { get; set; }

        /// <summary>Of the mean gradient, before clipping.</summary>
        public double GradientNorm { get; set; }
    }
}

using TraceDistill.Data.Determinism;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// The weights that objectives train beside the student (projections, a discriminator), with their moments. They are part of a training's
/// checkpoints and not of its model.
/// </summary>
public sealed class AuxiliaryWeights : IDisposable
{
    readonly List<(string Objective, AuxiliaryWeight Weight, long Offset)> _layout = [];
    FloatBuffer _values,
        _mean,
        _meanSquare;

    AuxiliaryWeights(IEnumerable<(string Objective, AuxiliaryWeight Weight)> weights, long seed)
    {
        foreach (var (objective, weight) in weights)
        {
            _layout.Add((objective, weight, Count));
            Count += weight.Shape.ElementCount();
        }

        (_values, _mean, _meanSquare) = (new FloatBuffer(Count), new FloatBuffer(Count), new FloatBuffer(Count));
        using var generator = new Generator(new SplitMix64((ulong)seed).Next() >> 1); // apart from the student's
        using var noGrad = no_grad();
        foreach (var (_, weight, offset) in _layout.Where(entry => entry.Weight.Deviation > 0))
        {
            using var scope = NewDisposeScope();
            var count = weight.Shape.ElementCount();
            _values.Vector.narrow(0, offset, count).copy_(randn(count, generator: generator).Times(weight.Deviation));
        }
    }

    /// <summary>Number of them.</summary>
    public long Count { get; }

    /// <summary>Those of some objectives, drawn by the run's seed.</summary>
    /// <param name="objectives">All of the training.</param>
    /// <param name="student">Shape of the student.</param>
    /// <param name="teacher">Shape of the teacher; null where there is none on disk, and no objective compares its states.</param>
    /// <param name="seed">The run's.</param>
    /// <exception cref="InvalidInputException">The two models cannot be compared as an objective has it.</exception>
    public static AuxiliaryWeights Of(
        IReadOnlyList<Objective> objectives,
        ModelConfiguration student,
        ModelConfiguration? teacher,
        long seed
    )
    {
        StateObjective[] all = [.. objectives.OfType<StateObjective>()];
        if (all.Select(objective => objective.WhyNot(student, teacher!)).OfType<string>().FirstOrDefault() is { } reason)
        {
            throw new InvalidInputException(reason);
        }

        return new AuxiliaryWeights(
            all.SelectMany(objective => objective.Weights(student, teacher!).Select(weight => (objective.Name, weight))),
            seed
        );
    }

    /// <summary>Takes them to the student's device.</summary>
    public void MoveTo(Device device)
    {
        (_values, _mean, _meanSquare) = (Moved(_values), Moved(_mean), Moved(_meanSquare));

        FloatBuffer Moved(FloatBuffer buffer)
        {
            using (buffer)
            {
                return buffer.CopyTo(device);
            }
        }
    }

    /// <summary>The weights of an objective as leaves of a graph of their own, which share no gradient with those of other
    /// passes.</summary>
    internal Dictionary<string, Tensor> Leaves(string objective) =>
        _layout
            .Where(entry => entry.Objective == objective)
            .ToDictionary(
                entry => entry.Weight.Name,
                entry =>
                    _values
                        .Vector.narrow(0, entry.Offset, entry.Weight.Shape.ElementCount())
                        .view(entry.Weight.Shape)
                        .detach()
                        .requires_grad_()
            );

    /// <summary>Adds the gradients of leaves to a buffer of <see cref="Count"/>.</summary>
    internal void AddGradients(string objective, IReadOnlyDictionary<string, Tensor> leaves, FloatBuffer gradient)
    {
        using var noGrad = no_grad();
        foreach (var (_, weight, offset) in _layout.Where(entry => entry.Objective == objective))
        {
            using var slope = leaves[weight.Name].grad;
            if (slope is not null)
            {
                using var flat = slope.flatten();
                gradient.Vector.narrow(0, offset, flat.shape[0]).Add(flat);
            }
        }
    }

    /// <summary>One step of Adam, without decay.</summary>
    /// <param name="options">Decay rates and ε.</param>
    /// <param name="gradient">Of all weights.</param>
    /// <param name="scale">Multiplies the gradient.</param>
    /// <param name="learningRate">The student's, of AdamW.</param>
    /// <param name="update">Counts from 1.</param>
    internal void Step(OptimizationOptions options, FloatBuffer gradient, double scale, double learningRate, long update)
    {
        if (Count == 0)
        {
            return;
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        AdamStep
            .Of(options, scale, learningRate, update)
            .Apply(_values.Vector, gradient.Vector.Times(scale), _mean.Vector, _meanSquare.Vector, decay: 1);
    }

    /// <inheritdoc cref="WeightOptimizer.Visit"/>
    internal void Visit(BytesVisitor visit)
    {
        _values.Visit(visit);
        _mean.Visit(visit);
        _meanSquare.Visit(visit);
    }

    public void Dispose()
    {
        _values.Dispose();
        _mean.Dispose();
        _meanSquare.Dispose();
    }
}

using TraceDistill.Models.Adapters;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;
using Parameter = TorchSharp.Modules.Parameter;

namespace TraceDistill.Models;

/// <summary>Tensors over the memory of weights and of one gradient buffer: leaves of autograd where they are trained.</summary>
/// <param name="weights">The weights, and which of them are trained.</param>
/// <param name="gradient">[trained weights]; null where nothing is to be trained.</param>
/// <param name="rounded">Matrices that passes read in place of the stored ones; null for those.</param>
sealed class Parameters(TrainedWeights weights, FloatBuffer? gradient, RoundedMatrices? rounded) : IDisposable
{
    readonly HashSet<string> _names = [.. weights.Model.Names];
    readonly Dictionary<string, Weight> _leaves = [];
    readonly List<Tensor> _owned = [];

    public ModelConfiguration Shape => weights.Model.Configuration;

    public LoraAdapter? Adapter => weights.Adapter;

    /// <summary>Returns whether any weight whose name begins so is trained.</summary>
    public bool IsTrained(string prefix) =>
        gradient is not null && weights.Names.Any(name => name.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>
    /// Every weight of the model, and of an adapter beside it, by its name in Hugging Face's files: views, of which the trained ones
    /// have the part of the gradient buffer that is theirs as their <c>grad</c>.
    /// </summary>
    public IEnumerable<(string Name, Parameter Value)> Named() =>
        weights
            .Model.Names.Select(name => (name, Parameter(name, weights.Model.ShapeOf(name))))
            .Concat((Adapter?.Names ?? []).Select(name => (name, Parameter(name, Adapter!.ShapeOf(name)))));

    /// <returns>A norm's weight, a bias or the weights of a convolution; null where the model has none of the name.</returns>
    public Weight? Vector(string name) => _names.Contains(name) ? Leaf(name, weights.Model.ShapeOf(name)) : null;

    /// <param name="isRounded">True for products in the precision of the layers.</param>
    public LinearMatrix Matrix(string name, bool isRounded = true) => Group([name], weights.Model.ShapeOf(name)[1], isRounded);

    /// <summary>Matrices of one input: neighbours that are trained alike are one.</summary>
    /// <param name="names">In the order of storage.</param>
    public List<LinearMatrix> Matrices(IReadOnlyList<string> names)
    {
        var groups = new List<LinearMatrix>();
        for (int first = 0, end; first < names.Count; first = end)
        {
            for (end = first + 1; end < names.Count && weights.Contains(names[end]) == weights.Contains(names[first]); end++) { }

            groups.Add(Group([.. names.Skip(first).Take(end - first)], weights.Model.ShapeOf(names[first])[1], isRounded: true));
        }

        return groups;
    }

    /// <returns>The adapter of the named layer; nothing but its columns where it has none.</returns>
    public LayerAdapter AdapterOf(string layer)
    {
        if (Adapter?.Find(layer) is not { } module)
        {
            return new LayerAdapter((int)weights.Model.ShapeOf(layer + ".weight")[0]);
        }

        return new LayerAdapter(
            module.Columns,
            module.Index,
            Leaf(module.A, Adapter.ShapeOf(module.A)).Stored,
            Leaf(module.B, Adapter.ShapeOf(module.B)).Stored,
            Adapter.Settings.UseDora ? Leaf(module.Magnitude, Adapter.ShapeOf(module.Magnitude)).Stored : null,
            module
        );
    }

    public void Dispose() => _owned.ForEach(tensor => tensor.Dispose());

    LinearMatrix Group(string[] names, long inner, bool isRounded)
    {
        var rows = names.Sum(name => weights.Model.ShapeOf(name)[0]);
        return new LinearMatrix(
            Leaf(names[0], [rows, inner]),
            isRounded && rounded?.InBFloat16(weights.Model.OffsetOf(names[0]), rows, inner) is { } view ? Own(view) : null
        );
    }

    /// <param name="shape">May reach over the weights that follow it.</param>
    Weight Leaf(string name, long[] shape)
    {
        if (_leaves.TryGetValue(name, out var known))
        {
            return known;
        }

        using var scope = NewDisposeScope();
        var (view, slopes) = View(name, shape);
        var leaf = Own(view);
        if (slopes is not null)
        {
            leaf.requires_grad_(true);
            if (leaf.dtype == Own(slopes).dtype)
            {
                leaf.grad = slopes;
            }
        }

        var blocks = shape.Length > 1 && _names.Contains(name) ? rounded?.InBlocks(weights.Model.OffsetOf(name), shape[0], shape[1]) : null;
        var weight = new Weight(leaf, slopes, blocks is null ? null : Own(blocks));
        _leaves.Add(name, weight);
        return weight;
    }

    Parameter Parameter(string name, long[] shape)
    {
        using var scope = NewDisposeScope();
        var (view, slopes) = View(name, shape);
        var parameter = new Parameter(view, requires_grad: slopes is not null);
        if (slopes?.dtype == parameter.dtype)
        {
            parameter.grad = slopes;
        }

        parameter.DetachFromDisposeScope();
        return parameter;
    }

    /// <returns>The memory of a weight, and that of its gradient where it is trained.</returns>
    (Tensor Values, Tensor? Slopes) View(string name, long[] shape)
    {
        long[] strides = [.. shape.Select((_, dimension) => shape[(dimension + 1)..].ElementCount())];
        var (memory, offset) =
            weights.Contains(name) ? (weights.Weights.Flat.Vector, weights.Weights.OffsetOf(name))
            : !shape.IsMatrix() ? (weights.Model.Vectors.Flat.Vector, weights.Model.Vectors.OffsetOf(name))
            : (weights.Model.Matrices, weights.Model.OffsetOf(name));
        return (
            memory.as_strided(shape, strides, offset).detach(),
            gradient is not null && weights.OffsetOf(name) is { } start ? gradient.Vector.as_strided(shape, strides, start).detach() : null
        );
    }

    Tensor Own(Tensor tensor)
    {
        _owned.Add(tensor.DetachFromDisposeScope());
        return tensor;
    }
}

/// <summary>The low-rank adapter of one linear layer.</summary>
/// <param name="Columns">C, outputs of the layer.</param>
/// <param name="Index">Of the adapter among all.</param>
/// <param name="A">[r, K]; null where the layer has no adapter.</param>
/// <param name="B">[C, r].</param>
/// <param name="Magnitude">[C] m; with DoRA only.</param>
/// <param name="Module">Has the lengths of the rows of W₀ + s·B·A.</param>
sealed record LayerAdapter(
    int Columns,
    int Index = 0,
    Tensor? A = null,
    Tensor? B = null,
    Tensor? Magnitude = null,
    LoraModule? Module = null
);

using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Models;

// N = rows, C = outputs, K = inputs, r = rank, s = LoRA scaling, alpha / r

/// <summary>
/// Linear layers of one input, such as q, k and v: one product where their matrices lie next to each other, and their low-rank adapters.
/// </summary>
/// <param name="parameters">Have their weights.</param>
/// <param name="layers">Their names, in the order of the result's columns.</param>
sealed class Linear(Parameters parameters, params string[] layers)
{
    readonly List<LinearMatrix> _matrices = parameters.Matrices([.. layers.Select(layer => layer + ".weight")]);
    readonly Weight[] _biases = [.. layers.Select(layer => parameters.Vector(layer + ".bias")).OfType<Weight>()];
    readonly LayerAdapter[] _adapters = [.. layers.Select(parameters.AdapterOf)];
    readonly float _scaling = parameters.Adapter?.Scale ?? 0;
    readonly double _dropout = parameters.Adapter?.Settings.Dropout ?? 0;

    /// <summary>x·Wᵀ + b with the adapters' part, or residual + that.</summary>
    /// <param name="x">[N, K].</param>
    /// <param name="noise">Noise that the adapters' dropout draws from; null for none.</param>
    /// <param name="residual">[N, C].</param>
    /// <returns>[N, C].</returns>
    public Tensor Apply(Tensor x, PassNoise? noise, Tensor? residual = null)
    {
        using var scope = NewDisposeScope();
        var isAdapted = _adapters.Any(adapter => adapter.A is not null);
        var isOne = _matrices.Count == 1 && !isAdapted;
        var y =
            _matrices.Count == 1
                ? _matrices[0].Apply(x, isOne ? residual : null)
                : cat([.. _matrices.Select(matrix => matrix.Apply(x))], 1);
        y = isAdapted ? Adapt(x, y, noise) : y;
        y = residual is null || isOne ? y : residual.Plus(y);
        y =
            _biases.Length == 0
                ? y
                : y.Plus((_biases.Length == 1 ? _biases[0].Read() : cat([.. _biases.Select(bias => bias.Read())])).to(y.dtype));
        return y.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// y + s·(x·Aᵀ)·Bᵀ (Hu et al., "LoRA", arXiv 2106.09685). With DoRA each row of the sum is brought to a length m of its own,
    /// m/‖W₀ + s·B·A‖ ∘ (…), the norm taken as a constant in the gradient (Liu et al., arXiv 2402.09353, equation 5 and section 4.3).
    /// </summary>
    /// <remarks>
    /// Dropout takes from the branch's input alone. In PEFT's DoRA it takes from the layer's own product as well
    /// (less what the plain layer gives), which costs that product twice; without dropout the two are the same.
    /// </remarks>
    Tensor Adapt(Tensor x, Tensor y, PassNoise? noise)
    {
        var columns = new List<Tensor>();
        var first = 0L;
        foreach (var adapter in _adapters)
        {
            var result = _adapters.Length == 1 ? y : y.narrow(1, first, adapter.Columns);
            if (adapter.A is not null)
            {
                var input = noise is not null && _dropout > 0 ? Noise.Drop(x, _dropout, noise, 1 + adapter.Index) : x;
                result = addmm(result, mm(input, adapter.A.to(x.dtype).t()), adapter.B!.to(x.dtype).t(), 1, _scaling);
                result = adapter.Magnitude is null
                    ? result
                    : result * (adapter.Magnitude / tensor(adapter.Module!.Norms, device: x.device)).to(x.dtype);
            }

            columns.Add(result);
            first += adapter.Columns;
        }

        return columns.Count == 1 ? columns[0] : cat(columns, 1);
    }
}

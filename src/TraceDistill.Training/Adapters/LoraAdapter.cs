using System.Numerics.Tensors;
using TraceDistill.Core.Errors;
using TraceDistill.Training.Models;
using static TorchSharp.torch;

namespace TraceDistill.Training.Adapters;

// r = rank, C = outputs, K = inputs of a linear layer, s = alpha / r

/// <summary>
/// Low-rank branches beside linear layers of a model whose own weights stay as they are: y = x·W₀ᵀ + s·(x·Aᵀ)·Bᵀ (Hu et al., "LoRA",
/// arXiv 2106.09685). With DoRA each row of the sum is brought to a length m of its own: y = m/‖W₀ + s·B·A‖ ∘ (…), the norm taken as a constant
/// in the gradient (Liu et al., arXiv 2402.09353, equation 5 and section 4.3).
/// </summary>
/// <remarks>Formulas, first values and names are PEFT's. <see cref="Refresh"/> must follow every change of the weights.</remarks>
public sealed class LoraAdapter : NamedWeights
{
    /// <summary>PEFT's word for every linear layer but the output projection.</summary>
    public const string AllLinear = "all-linear";

    readonly Dictionary<string, LoraModule> _modules;

    /// <param name="model">The frozen model; owned by the caller.</param>
    /// <param name="seed">Of A's first values.</param>
    /// <exception cref="InvalidInputException">A target module is not in the model.</exception>
    public LoraAdapter(ModelParameters model, LoraSettings settings, long seed)
        : this(model, settings, Select(model, settings.TargetModules)) => Initialize(seed);

    LoraAdapter(ModelParameters model, LoraSettings settings, IReadOnlyList<LoraModule> modules)
        : base(modules.SelectMany(module => Shapes(module, settings)))
    {
        (Model, Settings) = (model, settings);
        _modules = modules.ToDictionary(module => module.Name);
    }

    public ModelParameters Model { get; }

    public LoraSettings Settings { get; }

    /// <summary>s.</summary>
    public float Scale => (float)Settings.Alpha / Settings.Rank;

    internal IReadOnlyCollection<LoraModule> Modules => _modules.Values;

    /// <returns>The adapter of the named layer, or null where it has none.</returns>
    internal LoraModule? Find(string layer) => _modules.GetValueOrDefault(layer);

    /// <summary>Takes over changed weights.</summary>
    public void Refresh()
    {
        if (Settings.UseDora)
        {
            Parallel.ForEach(Modules, module => VisitRows(module, (row, values) => module.Norms[row] = Norm(values)));
            foreach (var module in Modules)
            {
                TensorPrimitives.Divide(Values(module.Magnitude), module.Norms, module.Scales);
            }
        }
    }

    /// <summary>A row's size; 1 for one that is all zero, such as those of a pruned head, whose direction is none.</summary>
    static float Norm(ReadOnlySpan<double> row) => TensorPrimitives.Norm(row) is > 0 and var norm ? (float)norm : 1;

    /// <summary>Makes what the adapter adds part of the model's own weights; after that it is used up.</summary>
    public void Merge() => Parallel.ForEach(Modules, module => VisitRows(module, (row, values) =>
    {
        if (Settings.UseDora)
        {
            TensorPrimitives.Multiply(values, Values(module.Magnitude)[row] / Norm(values), values);
        }

        TensorPrimitives.ConvertTruncating<double, float>(values, Model.Values(module.Weight).Slice(row * module.Inner, module.Inner));
    }));

    /// <summary>A as by Kaiming's rule with a = √5, uniform in ±1/√K; B zero; m the lengths of the rows of W₀: at first the adapter changes nothing.</summary>
    void Initialize(long seed)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)seed);
        using var noGrad = no_grad();
        foreach (var module in Modules)
        {
            var bound = 1 / Math.Sqrt(module.Inner);
            Matrix(Flat, module.A).copy_(rand(ShapeOf(module.A), generator: generator).mul_(2 * bound).sub_(bound));
            if (Settings.UseDora)
            {
                VisitRows(module, (row, values) => Values(module.Magnitude)[row] = (float)TensorPrimitives.Norm<double>(values));
            }
        }

        Refresh();
    }

    delegate void RowVisitor(int row, Span<double> values);

    /// <summary>Calls <paramref name="visit"/> with each row of W₀ + s·B·A in float64, one at a time: the whole matrix never exists.</summary>
    void VisitRows(LoraModule module, RowVisitor visit)
    {
        var (rank, inner) = (Settings.Rank, module.Inner);
        double[] a = new double[rank * inner], row = new double[inner];
        TensorPrimitives.ConvertTruncating<float, double>(Values(module.A), a);
        for (var c = 0; c < module.Columns; c++)
        {
            TensorPrimitives.ConvertTruncating<float, double>(Model.Values(module.Weight).Slice(c * inner, inner), row);
            var b = Values(module.B).Slice(c * rank, rank);
            for (var i = 0; i < rank; i++)
            {
                TensorPrimitives.MultiplyAdd(a.AsSpan(i * inner, inner), (double)Scale * b[i], row, row);
            }

            visit(c, row);
        }
    }

    static IEnumerable<(string Name, long[] Shape)> Shapes(LoraModule module, LoraSettings settings)
    {
        yield return (module.A, [settings.Rank, module.Inner]);
        yield return (module.B, [module.Columns, settings.Rank]);
        if (settings.UseDora)
        {
            yield return (module.Magnitude, [module.Columns]);
        }
    }

    /// <summary>The layers whose name is a target, or ends in one after a dot, as PEFT has it.</summary>
    static LoraModule[] Select(ModelParameters model, IReadOnlyList<string> targets)
    {
        const string Ending = ".weight";
        string[] layers = [.. model.Names
            .Where(name => DecoderLinears.Names.Any(last => name.EndsWith($".{last}{Ending}", StringComparison.Ordinal)))
            .Select(name => name[..^Ending.Length])];
        foreach (var target in targets)
        {
            if (!layers.Any(layer => IsTarget(layer, target)))
            {
                throw new InvalidInputException($"lora_target_modules: no layer's name ends in \"{target}\"; {NearestName.Suggestion(target, [.. DecoderLinears.Names, AllLinear])}");
            }
        }

        return [.. layers.Where(layer => targets.Any(target => IsTarget(layer, target))).Select((layer, index) =>
        {
            var shape = model.ShapeOf(layer + Ending);
            return new LoraModule(index, layer, (int)shape[0], (int)shape[1]);
        })];
    }

    static bool IsTarget(string layer, string target) =>
        target == AllLinear || layer == target || layer.EndsWith("." + target, StringComparison.Ordinal);
}

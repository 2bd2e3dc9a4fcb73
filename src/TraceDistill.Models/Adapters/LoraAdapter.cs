using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Adapters;

// r = rank, C = outputs, K = inputs of a linear layer, s = alpha / r

/// <summary>
/// Low-rank branches beside linear layers of a model whose own weights stay as they are: y = x·W₀ᵀ + s·(x·Aᵀ)·Bᵀ (Hu et
/// al., "LoRA", arXiv 2106.09685). With DoRA each row of the sum is brought to a length m of its own: y = m/‖W₀ +
/// s·B·A‖ ∘ (…), the norm taken as a constant in the gradient (Liu et al., arXiv 2402.09353, equation 5 and section 4.3).
/// </summary>
/// <remarks>Formulas, first values and names are PEFT's. <see cref="Refresh"/> must follow every change of the weights.</remarks>
public sealed class LoraAdapter : NamedWeights
{
    /// <summary>PEFT's word for every linear layer but the output projection.</summary>
    public const string AllLinear = "all-linear";

    /// <summary>
    /// Last parts of the names of all linear layers of a decoder layer, whatever its family; routers of experts are none.
    /// </summary>
    static readonly IReadOnlyList<string> LinearLayers =
    [
        "q_proj",
        "k_proj",
        "v_proj",
        "qkv_proj",
        "z_proj",
        "h_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "gate_up_proj",
        "down_proj",
        "w1",
        "w3",
        "w2",
    ];

    /// <summary>Weights that are widened at once.</summary>
    const int StretchElements = 1 << 24;

    readonly Dictionary<string, LoraModule> _modules;

    /// <param name="model">The frozen model; owned by the caller.</param>
    /// <param name="seed">Of A's first values.</param>
    /// <exception cref="InvalidInputException">A target module is not in the model.</exception>
    public LoraAdapter(IDecoderWeights model, LoraSettings settings, long seed)
        : this(model, settings, [.. Select(model.Names, model.ShapeOf, settings.TargetModules)]) => Initialize(seed);

    LoraAdapter(IDecoderWeights model, LoraSettings settings, IReadOnlyList<LoraModule> modules)
        : base(modules.SelectMany(module => Shapes(module, settings)))
    {
        (Model, Settings) = (model, settings);
        _modules = modules.ToDictionary(module => module.Name);
    }

    public IDecoderWeights Model { get; }

    public LoraSettings Settings { get; }

    /// <summary>s.</summary>
    public float Scale => (float)Settings.Alpha / Settings.Rank;

    internal IReadOnlyCollection<LoraModule> Modules => _modules.Values;

    /// <summary>Last parts of the names of the layers that have an adapter.</summary>
    internal IEnumerable<string> LayerNames =>
        LinearLayers.Where(last => Modules.Any(module => module.Name.EndsWith("." + last, StringComparison.Ordinal)));

    /// <summary>Another one beside the same model, with the same weights.</summary>
    public LoraAdapter Copy()
    {
        var modules = Modules.Select(module => new LoraModule(module.Index, module.Name, module.Columns, module.Inner));
        var copy = new LoraAdapter(Model, Settings, [.. modules]);
        copy.MoveTo(Device);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        copy.Flat.Vector.copy_(Flat.Vector);
        copy.Refresh();
        return copy;
    }

    /// <returns>The adapter of the named layer, or null where it has none.</returns>
    internal LoraModule? Find(string layer) => _modules.GetValueOrDefault(layer);

    /// <summary>Number of weights of an adapter beside a model of this shape.</summary>
    /// <exception cref="InvalidInputException">A target module is not in the model.</exception>
    public static long CountOf(ModelConfiguration configuration, LoraSettings settings)
    {
        var shapes = ModelParameters.Shapes(configuration).ToDictionary();
        return Select(shapes.Keys, name => shapes[name], settings.TargetModules)
            .SelectMany(module => Shapes(module, settings))
            .Sum(weight => weight.Shape.ElementCount());
    }

    /// <summary>Takes over changed weights.</summary>
    public void Refresh()
    {
        if (!Settings.UseDora)
        {
            return;
        }

        if (Flat.TakesKernels)
        {
            Parallel.ForEach(Modules, module => VisitRows(module, (row, values) => module.Norms[row] = LoraRows.Norm(values)));
            return;
        }

        foreach (var module in Modules)
        {
            MeasureRows(module);
        }
    }

    /// <summary>The lengths of the rows of W₀ + s·B·A in float32, by libtorch.</summary>
    void MeasureRows(LoraModule module)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (a, b) = (Matrix(Flat, module.A), Matrix(Flat, module.B));
        for (int row = 0, most = Math.Max(1, StretchElements / module.Inner); row < module.Columns; row += most)
        {
            using var stretch = NewDisposeScope();
            var rows = Math.Min(most, module.Columns - row);
            var stored = Model.Matrices.as_strided(
                [rows, module.Inner],
                [module.Inner, 1],
                Model.OffsetOf(module.Weight) + ((long)row * module.Inner)
            );
            var norms = addmm(stored.to(ScalarType.Float32), b.narrow(0, row, rows), a, 1, Scale).norm(1, keepdim: false, p: 2).cpu();
            MemoryMarshal.Cast<byte, float>(norms.bytes).CopyTo(module.Norms.AsSpan(row));
        }

        foreach (ref var norm in module.Norms.AsSpan())
        {
            norm = norm > 0 ? norm : 1;
        }
    }

    /// <summary>
    /// A as by Kaiming's rule with a = √5, uniform in ±1/√K; B zero; m the lengths of the rows of W₀: at first the adapter changes nothing.
    /// </summary>
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

    /// <summary>Calls <paramref name="visit"/> with each row of W₀ + s·B·A.</summary>
    void VisitRows(LoraModule module, LoraRows.Visitor visit) =>
        LoraRows.Visit(
            Values(module.A),
            Values(module.B),
            Settings.Rank,
            Scale,
            0,
            module.Columns,
            (row, stored) => Model.Read(module.Weight, (long)row * module.Inner, stored),
            visit
        );

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
    static IEnumerable<LoraModule> Select(IEnumerable<string> names, Func<string, long[]> shapeOf, IReadOnlyList<string> targets)
    {
        const string Ending = ".weight";
        string[] layers =
        [
            .. names
                .Where(name => LinearLayers.Any(last => name.EndsWith($".{last}{Ending}", StringComparison.Ordinal)))
                .Select(name => name[..^Ending.Length]),
        ];
        foreach (var target in targets)
        {
            if (!layers.Any(layer => IsTarget(layer, target)))
            {
                throw new InvalidInputException(
                    $"lora_target_modules: no layer's name ends in \"{target}\"; "
                        + $"{NearestName.Suggestion(target, [.. LastNames(layers), AllLinear])}"
                );
            }
        }

        return layers
            .Where(layer => targets.Any(target => IsTarget(layer, target)))
            .Select(
                (layer, index) =>
                {
                    var shape = shapeOf(layer + Ending);
                    return new LoraModule(index, layer, (int)shape[0], (int)shape[1]);
                }
            );
    }

    static IEnumerable<string> LastNames(IEnumerable<string> layers) =>
        layers.Select(layer => layer[(layer.LastIndexOf('.') + 1)..]).Distinct();

    static bool IsTarget(string layer, string target) =>
        target == AllLinear || layer == target || layer.EndsWith("." + target, StringComparison.Ordinal);
}

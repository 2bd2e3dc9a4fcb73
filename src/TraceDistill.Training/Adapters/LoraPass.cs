using TorchSharp;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Models;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Training.Adapters;

// N = rows, r = rank, C = columns of a product, K = its inputs, s = alpha / r

/// <summary>
/// One thread's passes through linear layers that have adapters beside them, in float32 whatever the precision of the layers' own products.
/// </summary>
/// <remarks>
/// Dropout takes from the branch's input alone. In PEFT's DoRA it takes from the layer's own product as well (less what the plain layer gives),
/// which costs that product twice; without dropout the two are the same.
/// </remarks>
sealed class LoraPass : IDisposable
{
    readonly LoraAdapter _adapter;
    readonly Projection _projection;
    readonly bool _isCheckpointed;
    readonly int _rank, _widestInput, _widestOutput;
    readonly float[] _ones;
    readonly Dictionary<LoraModule, FloatBuffer> _low = [];
    readonly Dictionary<FusedLinear, FloatBuffer> _unscaled = [];
    readonly IReadOnlyList<DecoderLinears> _layers;
    readonly List<FloatBuffer> _owned = [];
    FloatBuffer? _input, _lowGradient, _scaledGradient;

    /// <param name="adapter">Shared by all threads.</param>
    /// <param name="projection">The layers' own products.</param>
    /// <param name="layers">All layers of the model.</param>
    /// <param name="isCheckpointed">Whether layers share what they keep.</param>
    public LoraPass(LoraAdapter adapter, Projection projection, IReadOnlyList<DecoderLinears> layers, bool isCheckpointed)
    {
        (_adapter, _projection, _rank, _layers, _isCheckpointed) = (adapter, projection, adapter.Settings.Rank, layers, isCheckpointed);
        Linears = layers.SelectMany(layer => layer.All).Where(linear => linear.Modules.Any(part => adapter.Find(part.Name) is not null)).ToHashSet();
        _widestInput = Linears.Max(linear => linear.Inner);
        _widestOutput = Linears.Max(linear => linear.Columns);
        _ones = [.. Enumerable.Repeat(1f, _widestOutput)];
    }

    /// <summary>Those that have adapters.</summary>
    public IReadOnlySet<FusedLinear> Linears { get; }

    /// <summary>Bytes of all that is kept.</summary>
    public long Bytes => _owned.Sum(buffer => buffer.Count) * sizeof(float);

    /// <summary>Makes room for passes of so many rows.</summary>
    public void Reserve(int rows)
    {
        Release();
        foreach (var module in _adapter.Modules)
        {
            _low[module] = Rows(rows, _rank);
        }

        _lowGradient = Rows(rows, _rank);
        _input = Rows(_adapter.Settings.Dropout > 0 ? rows : 0, _widestInput);
        _scaledGradient = Rows(_adapter.Settings.UseDora ? rows : 0, _widestOutput);
        var shared = new Dictionary<int, FloatBuffer>();
        foreach (var (place, linear) in _layers.SelectMany(layer => layer.All.Index()).Where(entry => _adapter.Settings.UseDora && Linears.Contains(entry.Item)))
        {
            _unscaled[linear] = _isCheckpointed && shared.TryGetValue(place, out var buffer) ? buffer : shared[place] = Rows(rows, linear.Columns);
        }
    }

    /// <summary>y ← the layers' result without biases, or y ← y + that.</summary>
    /// <param name="linear">One of <see cref="Linears"/>.</param>
    /// <param name="x">[N, K].</param>
    /// <param name="y">[N, C].</param>
    /// <param name="noise">Of each row; null for no dropout.</param>
    public void Forward(FusedLinear linear, FloatBuffer x, FloatBuffer y, int rows, bool add, PassNoise? noise)
    {
        if (_adapter.Settings.UseDora)
        {
            Multiply(linear, x, _unscaled[linear], rows, add: false, noise);
            ScaleColumns(linear, _unscaled[linear], y, rows, add);
        }
        else
        {
            Multiply(linear, x, y, rows, add, noise);
        }
    }

    /// <summary>
    /// Computes again what the backward pass needs of a layer, though not the layer's result: layers that are checkpointed share the room for it.
    /// </summary>
    /// <param name="linear">Any layer; one that keeps nothing is left alone.</param>
    /// <param name="x">As given to the forward pass.</param>
    /// <param name="noise">As given to the forward pass.</param>
    public void Recompute(FusedLinear linear, FloatBuffer x, int rows, PassNoise? noise)
    {
        if (_unscaled.TryGetValue(linear, out var result))
        {
            Multiply(linear, x, result, rows, add: false, noise);
        }
    }

    /// <summary>Adds the adapters' gradients, and gives that of the input.</summary>
    /// <param name="linear">As given to the forward pass.</param>
    /// <param name="dy">[N, C].</param>
    /// <param name="x">[N, K] as given to the forward pass.</param>
    /// <param name="dx">[N, K], written; null where nobody wants it.</param>
    /// <param name="gradient">Laid out like the adapter, added to.</param>
    /// <param name="noise">As given to the forward pass.</param>
    public void Backward(FusedLinear linear, FloatBuffer dy, FloatBuffer x, FloatBuffer? dx, FloatBuffer gradient, int rows, PassNoise? noise)
    {
        using var scope = NewDisposeScope();
        if (_adapter.Settings.UseDora)
        {
            dy = ScaleBackward(linear, dy, gradient, rows);
        }

        _projection.Backward(dy, x, linear, dx, gradient, rows);
        foreach (var (part, module) in Adapted(linear))
        {
            var slope = Columns(dy, linear, part, rows);                                                // [N, columns of this module]
            _adapter.Matrix(gradient, module.B).addmm_(slope.t(), _low[module].Matrix(rows, _rank), beta: 1, alpha: _adapter.Scale);
            var lowGradient = _lowGradient!.Matrix(rows, _rank);                                        // [N, r]
            lowGradient.addmm_(slope, B(module), beta: 0, alpha: _adapter.Scale);
            var input = Input(module, x, rows, noise);
            _adapter.Matrix(gradient, module.A).addmm_(lowGradient.t(), input.Matrix(rows, linear.Inner), beta: 1, alpha: 1);
            if (dx is not null)
            {
                InputGradient(module, lowGradient, dx, rows, noise);
            }
        }
    }

    public void Dispose() => Release();

    void Release()
    {
        _owned.ForEach(buffer => buffer.Dispose());
        _owned.Clear();
    }

    IEnumerable<(LinearModule Part, LoraModule Module)> Adapted(FusedLinear linear) =>
        linear.Modules.Select(part => (part, _adapter.Find(part.Name))).Where(pair => pair.Item2 is not null).Select(pair => (pair.part, pair.Item2!));

    /// <summary>y ← x·W₀ᵀ + s·(x·Aᵀ)·Bᵀ, or y ← y + that.</summary>
    void Multiply(FusedLinear linear, FloatBuffer x, FloatBuffer y, int rows, bool add, PassNoise? noise)
    {
        using var scope = NewDisposeScope();
        _projection.Forward(x, linear, y, rows, add);
        foreach (var (part, module) in Adapted(linear))
        {
            var low = _low[module].Matrix(rows, _rank);                                                 // [N, r]
            low.addmm_(Input(module, x, rows, noise).Matrix(rows, linear.Inner), A(module).t(), beta: 0, alpha: 1);
            Columns(y, linear, part, rows).addmm_(low, B(module).t(), beta: 1, alpha: _adapter.Scale);
        }
    }

    bool Drops(PassNoise? noise) => noise is not null && _adapter.Settings.Dropout > 0;

    /// <summary>x, or what dropout leaves of it.</summary>
    FloatBuffer Input(LoraModule module, FloatBuffer x, int rows, PassNoise? noise)
    {
        if (!Drops(noise))
        {
            return x;
        }

        x.Span[..(rows * module.Inner)].CopyTo(_input!.Span);
        Drop(_input, module, rows, noise!);
        return _input;
    }

    void InputGradient(LoraModule module, Tensor lowGradient, FloatBuffer dx, int rows, PassNoise? noise)
    {
        if (!Drops(noise))
        {
            dx.Matrix(rows, module.Inner).addmm_(lowGradient, A(module), beta: 1, alpha: 1);
            return;
        }

        _input!.Matrix(rows, module.Inner).addmm_(lowGradient, A(module), beta: 0, alpha: 1);
        Drop(_input, module, rows, noise!);
        var sum = dx.Span[..(rows * module.Inner)];
        TensorPrimitives.Add(sum, _input.Span[..sum.Length], sum);
    }

    unsafe void Drop(FloatBuffer values, LoraModule module, int rows, PassNoise noise) =>
        NoiseKernel.Drop(values.Pointer, rows, module.Inner, _adapter.Settings.Dropout, noise, purpose: 1 + module.Index);

    /// <summary>y ← scales ∘ z, or y ← y + that.</summary>
    void ScaleColumns(FusedLinear linear, FloatBuffer z, FloatBuffer y, int rows, bool add)
    {
        foreach (var part in linear.Modules)
        {
            var scales = ScalesOf(part);
            for (var row = 0; row < rows; row++)
            {
                var from = Slice(z, linear, part, row);
                var to = Slice(y, linear, part, row);
                if (add)
                {
                    TensorPrimitives.MultiplyAdd(from, scales, to, to);
                }
                else
                {
                    TensorPrimitives.Multiply(from, scales, to);
                }
            }
        }
    }

    /// <summary>dm ← dm + Σ dy ∘ z / norms over the rows.</summary>
    /// <returns>scales ∘ dy.</returns>
    FloatBuffer ScaleBackward(FusedLinear linear, FloatBuffer dy, FloatBuffer gradient, int rows)
    {
        foreach (var part in linear.Modules)
        {
            var module = _adapter.Find(part.Name);
            var scales = ScalesOf(part);
            Span<float> sum = new float[part.Columns];
            for (var row = 0; row < rows; row++)
            {
                var slope = Slice(dy, linear, part, row);
                TensorPrimitives.MultiplyAdd(slope, Slice(_unscaled[linear], linear, part, row), sum, sum);
                TensorPrimitives.Multiply(slope, scales, Slice(_scaledGradient!, linear, part, row));
            }

            if (module is not null)
            {
                var magnitude = gradient.Slice(_adapter.OffsetOf(module.Magnitude), part.Columns);
                TensorPrimitives.Divide(sum, module.Norms, sum);
                TensorPrimitives.Add(magnitude, sum, magnitude);
            }
        }

        return _scaledGradient!;
    }

    /// <summary>Columns without an adapter have a scale of 1.</summary>
    ReadOnlySpan<float> ScalesOf(LinearModule part) => _adapter.Find(part.Name)?.Scales ?? _ones.AsSpan(0, part.Columns);

    static Span<float> Slice(FloatBuffer rows, FusedLinear linear, LinearModule part, int row) =>
        rows.Slice((long)row * linear.Columns + part.First, part.Columns);

    static Tensor Columns(FloatBuffer rows, FusedLinear linear, LinearModule part, int count) =>
        rows.Matrix(count, part.Columns, part.First, linear.Columns);

    Tensor A(LoraModule module) => _adapter.Matrix(_adapter.Flat, module.A);

    Tensor B(LoraModule module) => _adapter.Matrix(_adapter.Flat, module.B);

    FloatBuffer Rows(int rows, int width)
    {
        var buffer = new FloatBuffer((long)rows * width);
        _owned.Add(buffer);
        return buffer;
    }
}

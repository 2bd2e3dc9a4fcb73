using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// <see cref="AdamW"/> with both moments in one byte a weight: each block of 256 has the size of its largest in float32, and its numbers as
/// parts of that (Dettmers et al., arXiv 2110.02861, section 2). Weights, gradient and the update itself are float32.
/// </summary>
sealed class AdamW8Bit : IUpdateRule
{
    /// <summary>Weights that share a size.</summary>
    public const int Block = 256;

    /// <summary>Blocks of a piece in libtorch's operations: 64 megabytes of float32.</summary>
    const int BlocksOfTensors = 1 << 16;

    /// <summary>Blocks of a piece that a thread takes; the pieces are the same for any number of threads.</summary>
    const int BlocksOfKernels = 1 << 6;

    /// <summary>Divides blocks that are all zero.</summary>
    const double LeastSize = 1.2e-38;

    readonly OptimizationOptions _options;
    readonly TrainedWeights _trained;
    readonly IReadOnlyList<(Codes Mean, Codes MeanSquare)> _moments;
    readonly IReadOnlyList<Piece> _pieces;

    /// <param name="options">Decay rates, ε and λ.</param>
    /// <param name="trained">The trained weights.</param>
    /// <param name="names">Those of them to update.</param>
    public AdamW8Bit(OptimizationOptions options, TrainedWeights trained, IReadOnlyList<string> names)
    {
        (_options, _trained) = (options, trained);
        _moments =
        [
            .. names.Select(name => (Codes.Zeros(trained, name, DynamicCode.Signed), Codes.Zeros(trained, name, DynamicCode.Unsigned))),
        ];
        _pieces = [.. names.Zip(_moments).SelectMany(weight => Cut(weight.First, weight.Second.Mean, weight.Second.MeanSquare))];
    }

    public void Step(FloatBuffer gradient, double scale, double learningRate, long update, StochasticRounding? rounding)
    {
        var step = AdamStep.Of(_options, scale, learningRate, update);
        UpdatePieces.ForEach(
            _pieces,
            _trained,
            _options,
            piece => Update(piece, gradient, step, _options.DecayFactor(piece.IsDecayed, learningRate)),
            piece => Update(piece, rounding, gradient, scale, step, _options.DecayFactor(piece.IsDecayed, learningRate))
        );
    }

    public void Visit(BytesVisitor visit)
    {
        foreach (var (mean, meanSquare) in _moments)
        {
            mean.Visit(visit);
            meanSquare.Visit(visit);
        }
    }

    public void Dispose()
    {
        foreach (var (mean, meanSquare) in _moments)
        {
            mean.Dispose();
            meanSquare.Dispose();
        }
    }

    IEnumerable<Piece> Cut(string name, Codes mean, Codes meanSquare)
    {
        var (shape, most) = (_trained.Weights.ShapeOf(name), Block * (long)(_trained.TakesKernels ? BlocksOfKernels : BlocksOfTensors));
        var (weight, slope, count) = (_trained.Weights.OffsetOf(name), _trained.OffsetOf(name)!.Value, shape.ElementCount());
        for (var first = 0L; first < count; first += most)
        {
            var length = (int)Math.Min(most, count - first);
            yield return new Piece(mean, meanSquare, first / Block, weight + first, slope + first, length, shape.IsMatrix());
        }
    }

    void Update(Piece piece, FloatBuffer gradient, AdamStep step, float decay)
    {
        Span<float> allM = stackalloc float[Block],
            allV = stackalloc float[Block];
        for (int first = 0; first < piece.Count; first += Block)
        {
            var (block, count) = (piece.Block + first / Block, Math.Min(Block, piece.Count - first));
            Span<float> m = allM[..count],
                v = allV[..count];
            piece.Mean.Read(block, m);
            piece.MeanSquare.Read(block, v);
            step.Apply(
                _trained.Weights.Flat.Slice(piece.Weight + first, count),
                gradient.Slice(piece.Gradient + first, count),
                m,
                v,
                decay
            );
            piece.Mean.Write(block, m);
            piece.MeanSquare.Write(block, v);
        }
    }

    void Update(Piece piece, StochasticRounding? rounding, FloatBuffer gradient, double scale, AdamStep step, double decay)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (block, blocks) = (piece.Block, ((long)piece.Count + Block - 1) / Block);
        var slope = zeros(blocks * Block, device: gradient.Device);
        slope.narrow(0, 0, piece.Count).copy_(gradient.Vector.narrow(0, piece.Gradient, piece.Count));
        slope = slope.Scale(scale).view(blocks, Block);
        var m = piece.Mean.Read(block, blocks).Scale(_options.AdamBeta1).Add(slope.Times(1 - _options.AdamBeta1));
        var v = piece.MeanSquare.Read(block, blocks).Scale(_options.AdamBeta2).Add(slope.mul_(slope).Scale(1 - _options.AdamBeta2));
        var change = m.Times(step.Rate).div_(v.sqrt().Scale(step.Correction).Plus(_options.AdamEpsilon)).view(-1).narrow(0, 0, piece.Count);
        var stored = _trained.Weights.Flat.Vector.narrow(0, piece.Weight, piece.Count);
        var w = StochasticRounding.Open(stored);
        w.Scale(decay).sub_(change);
        rounding?.Store(stored, w);
        piece.Mean.Write(block, m);
        piece.MeanSquare.Write(block, v);
    }

    /// <summary>Weights that are updated at once.</summary>
    /// <param name="Block">The first one's block among those of its moments.</param>
    /// <param name="Weight">Its place among the weights.</param>
    /// <param name="Gradient">Its place in the gradient.</param>
    /// <param name="Count">Number of elements; whole blocks but for the end of a weight.</param>
    readonly record struct Piece(Codes Mean, Codes MeanSquare, long Block, long Weight, long Gradient, int Count, bool IsDecayed);

    /// <summary>Numbers in one byte each.</summary>
    sealed class Codes : IDisposable
    {
        readonly DynamicCode _code;
        readonly long _count;

        /// <summary>[whole blocks] of uint8.</summary>
        readonly Tensor _codes;

        /// <summary>The codes, for kernels.</summary>
        readonly TensorMemory<byte> _memory;

        /// <summary>[blocks].</summary>
        readonly FloatBuffer _sizes;

        /// <summary>
        /// The numbers that codes stand for, and the bounds between neighbours, where the device is another than the CPU.
        /// </summary>
        readonly Tensor? _values,
            _bounds;

        Codes(long count, DynamicCode code, Device device, bool takesKernels)
        {
            var blocks = (count + Block - 1) / Block;
            (_count, _code, _sizes) = (count, code, new FloatBuffer(blocks, device));
            using var scope = NewDisposeScope();
            _codes = full([blocks * Block], (long)code.Encode(0), dtype: ScalarType.Byte, device: device).DetachFromDisposeScope();
            if (takesKernels)
            {
                _memory = new TensorMemory<byte>(_codes);
            }
            else
            {
                var values = code.Values.ToArray();
                _values = tensor(values, device: device).DetachFromDisposeScope();
                _bounds = tensor(values.Zip(values.Skip(1), (a, b) => (a + b) / 2).ToArray(), device: device).DetachFromDisposeScope();
            }
        }

        public static Codes Zeros(TrainedWeights trained, string name, DynamicCode code) =>
            new(trained.Weights.ShapeOf(name).ElementCount(), code, trained.Weights.Device, trained.TakesKernels);

        public void Read(long block, Span<float> values)
        {
            ReadOnlySpan<byte> codes = Of(block, values.Length);
            var numbers = _code.Values;
            var size = _sizes.Slice(block, 1)[0];
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = numbers[codes[i]] * size;
            }
        }

        public void Write(long block, ReadOnlySpan<float> values)
        {
            var size = Math.Abs(TensorPrimitives.MaxMagnitude(values));
            _sizes.Slice(block, 1)[0] = size;
            var codes = Of(block, values.Length);
            var factor = size > 0 ? 1 / size : 0;
            for (var i = 0; i < values.Length; i++)
            {
                codes[i] = _code.Encode(values[i] * factor);
            }
        }

        /// <returns>[blocks, 256] of float32.</returns>
        public Tensor Read(long block, long blocks) =>
            _values!
                .index_select(0, _codes.narrow(0, block * Block, blocks * Block).to(ScalarType.Int64))
                .view(blocks, Block)
                .mul_(_sizes.Vector.narrow(0, block, blocks).unsqueeze(1));

        /// <param name="values">[blocks, 256].</param>
        public void Write(long block, Tensor values)
        {
            var blocks = values.shape[0];
            var sizes = values.abs().amax([1]);
            _sizes.Vector.narrow(0, block, blocks).copy_(sizes);
            var parts = values / sizes.unsqueeze(1).AtLeast(LeastSize);
            _codes.narrow(0, block * Block, blocks * Block).copy_(bucketize(parts, _bounds!).view(-1));
        }

        public void Visit(BytesVisitor visit)
        {
            // Behind the last whole block there is filling, which is no part of the state.
            using var codes = _codes.narrow(0, 0, _count);
            if (_codes.device_type == DeviceType.CPU)
            {
                _ = visit(codes.bytes);
            }
            else
            {
                using var copy = codes.cpu();
                if (visit(copy.bytes))
                {
                    using var noGrad = no_grad();
                    codes.copy_(copy);
                }
            }

            _sizes.Visit(visit);
        }

        public void Dispose()
        {
            foreach (var tensor in new[] { _codes, _values, _bounds })
            {
                tensor?.Dispose();
            }

            _sizes.Dispose();
        }

        Span<byte> Of(long block, int length) => _memory.Slice(block * Block, length);
    }
}

using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// <see cref="AdamW"/> with both moments in one byte a weight: each block of 256 has the size of its largest in float32, and its numbers as
/// parts of that (Dettmers et al., arXiv 2110.02861, section 2). Weights, gradient and the update itself are float32.
/// </summary>
/// <param name="options">Decay rates, ε and λ.</param>
/// <param name="trained">The trained weights.</param>
/// <param name="names">Those of them to update.</param>
sealed class AdamW8Bit(OptimizationOptions options, TrainedWeights trained, IReadOnlyList<string> names) : IUpdateRule
{
    /// <summary>Weights that share a size.</summary>
    public const int Block = 256;

    /// <summary>Blocks that libtorch's operations take at once: 64 megabytes of float32.</summary>
    const long BlocksAtOnce = 1 << 16;

    /// <summary>Divides blocks that are all zero.</summary>
    const double LeastSize = 1.2e-38;

    readonly Dictionary<string, (Codes Mean, Codes MeanSquare)> _moments = names.ToDictionary(
        name => name,
        name => (Codes.Zeros(trained, name, DynamicCode.Signed), Codes.Zeros(trained, name, DynamicCode.Unsigned))
    );

    public void Step(FloatBuffer gradient, double scale, double learningRate, long update, StochasticRounding? rounding)
    {
        var rate = (float)(learningRate / (1 - Math.Pow(options.AdamBeta1, update)));
        var correction = (float)(1 / Math.Sqrt(1 - Math.Pow(options.AdamBeta2, update)));
        foreach (var name in names)
        {
            var shape = trained.Weights.ShapeOf(name);
            var decay = options.DecayFactor(shape.Length > 1, learningRate);
            var (mean, meanSquare) = _moments[name];
            if (!trained.TakesKernels)
            {
                UpdatePlain(name, rounding, gradient, mean, meanSquare, scale, rate, correction, decay);
                continue;
            }

            var (first, count) = (trained.OffsetOf(name)!.Value, (int)shape.ElementCount());
            Parallel.For(0, (count + Block - 1) / Block, new ParallelOptions { MaxDegreeOfParallelism = options.ResolveWorkers() }, block =>
            {
                var (start, length) = (block * Block, Math.Min(Block, count - (block * Block)));
                Update(
                    trained.Weights.Values(name).Slice(start, length),
                    gradient.Slice(first + start, length),
                    mean,
                    meanSquare,
                    block,
                    (float)scale,
                    rate,
                    correction,
                    decay
                );
            });
        }
    }

    public void Visit(BytesVisitor visit)
    {
        foreach (var name in names)
        {
            _moments[name].Mean.Visit(visit);
            _moments[name].MeanSquare.Visit(visit);
        }
    }

    public void Dispose()
    {
        foreach (var (mean, meanSquare) in _moments.Values)
        {
            mean.Dispose();
            meanSquare.Dispose();
        }
    }

    void Update(
        Span<float> w,
        ReadOnlySpan<float> g,
        Codes mean,
        Codes meanSquare,
        int block,
        float scale,
        float rate,
        float correction,
        float decay
    )
    {
        Span<float> allM = stackalloc float[Block],
            allV = stackalloc float[Block];
        Span<float> m = allM[..w.Length],
            v = allV[..w.Length];
        mean.Read(block, m);
        meanSquare.Read(block, v);
        var (beta1, beta2, epsilon) = ((float)options.AdamBeta1, (float)options.AdamBeta2, (float)options.AdamEpsilon);
        for (var i = 0; i < w.Length; i++)
        {
            var slope = g[i] * scale;
            m[i] = m[i] * beta1 + slope * (1 - beta1);
            v[i] = v[i] * beta2 + slope * slope * (1 - beta2);
            w[i] = w[i] * decay - m[i] * rate / (MathF.Sqrt(v[i]) * correction + epsilon);
        }

        mean.Write(block, m);
        meanSquare.Write(block, v);
    }

    void UpdatePlain(
        string name,
        StochasticRounding? rounding,
        FloatBuffer gradient,
        Codes mean,
        Codes meanSquare,
        double scale,
        double rate,
        double correction,
        double decay
    )
    {
        using var noGrad = no_grad();
        var count = trained.Weights.ShapeOf(name).ElementCount();
        for (long block = 0, all = (count + Block - 1) / Block; block < all; block += BlocksAtOnce)
        {
            using var scope = NewDisposeScope();
            var (blocks, first) = (Math.Min(BlocksAtOnce, all - block), block * Block);
            var length = Math.Min(blocks * Block, count - first);
            var slope = zeros(blocks * Block, device: gradient.Device);
            slope.narrow(0, 0, length).copy_(gradient.Vector.narrow(0, trained.OffsetOf(name)!.Value + first, length));
            slope = slope.Scale(scale).view(blocks, Block);
            var m = mean.Read(block, blocks).Scale(options.AdamBeta1).Add(slope.Times(1 - options.AdamBeta1));
            var v = meanSquare.Read(block, blocks).Scale(options.AdamBeta2).Add(slope.mul_(slope).Scale(1 - options.AdamBeta2));
            var step = m.Times(rate).div_(v.sqrt().Scale(correction).Plus(options.AdamEpsilon)).view(-1).narrow(0, 0, length);
            var stored = trained.Weights.Flat.Vector.narrow(0, trained.Weights.OffsetOf(name) + first, length);
            var w = StochasticRounding.Open(stored);
            w.Scale(decay).sub_(step);
            rounding?.Store(stored, w);
            mean.Write(block, m);
            meanSquare.Write(block, v);
        }
    }

    /// <summary>Numbers in one byte each.</summary>
    sealed unsafe class Codes : IDisposable
    {
        readonly DynamicCode _code;
        readonly long _count;

        /// <summary>[whole blocks] of uint8.</summary>
        readonly Tensor _codes;
        readonly byte* _pointer;

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
                _pointer = (byte*)CustomGradient.Address(_codes);
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

        public void Read(int block, Span<float> values)
        {
            ReadOnlySpan<byte> codes = Of(block, values.Length);
            var numbers = _code.Values;
            var size = _sizes.Slice(block, 1)[0];
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = numbers[codes[i]] * size;
            }
        }

        public void Write(int block, ReadOnlySpan<float> values)
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

        Span<byte> Of(int block, int length) => new(_pointer + ((long)block * Block), length);
    }
}

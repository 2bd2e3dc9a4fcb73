using System.Numerics.Tensors;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;

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

    readonly Dictionary<string, (Codes Mean, Codes MeanSquare)> _moments = names.ToDictionary(
        name => name, name => (new Codes(trained.Weights.ShapeOf(name).ElementCount(), DynamicCode.Signed), new Codes(trained.Weights.ShapeOf(name).ElementCount(), DynamicCode.Unsigned)));

    public void Step(FloatBuffer gradient, double scale, double learningRate, long update)
    {
        var rate = (float)(learningRate / (1 - Math.Pow(options.AdamBeta1, update)));
        var correction = (float)(1 / Math.Sqrt(1 - Math.Pow(options.AdamBeta2, update)));
        foreach (var name in names)
        {
            var decay = options.DecayFactor(trained.Weights.ShapeOf(name), learningRate);
            var (mean, meanSquare) = _moments[name];
            var (first, count) = (trained.OffsetOf(name)!.Value, trained.Weights.Values(name).Length);
            Parallel.For(0, (count + Block - 1) / Block, new ParallelOptions { MaxDegreeOfParallelism = options.ResolveWorkers() }, block =>
            {
                var (start, length) = (block * Block, Math.Min(Block, count - (block * Block)));
                Update(
                    trained.Weights.Values(name).Slice(start, length), gradient.Slice(first + start, length), mean, meanSquare, block,
                    (float)scale, rate, correction, decay);
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
    }

    void Update(
        Span<float> w, ReadOnlySpan<float> g, Codes mean, Codes meanSquare, int block, float scale, float rate, float correction, float decay)
    {
        Span<float> allM = stackalloc float[Block], allV = stackalloc float[Block];
        Span<float> m = allM[..w.Length], v = allV[..w.Length];
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

    /// <summary>Numbers in one byte each.</summary>
    sealed class Codes(long count, DynamicCode code)
    {
        readonly byte[] _codes = Zeros(count, code);
        readonly float[] _sizes = new float[(count + Block - 1) / Block];

        public void Read(int block, Span<float> values)
        {
            ReadOnlySpan<byte> codes = _codes.AsSpan(block * Block, values.Length);
            var numbers = code.Values;
            var size = _sizes[block];
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = numbers[codes[i]] * size;
            }
        }

        public void Write(int block, ReadOnlySpan<float> values)
        {
            var size = Math.Abs(TensorPrimitives.MaxMagnitude(values));
            _sizes[block] = size;
            var codes = _codes.AsSpan(block * Block, values.Length);
            var factor = size > 0 ? 1 / size : 0;
            for (var i = 0; i < values.Length; i++)
            {
                codes[i] = code.Encode(values[i] * factor);
            }
        }

        public void Visit(BytesVisitor visit)
        {
            visit(_codes);
            visit(System.Runtime.InteropServices.MemoryMarshal.AsBytes(_sizes.AsSpan()));
        }

        static byte[] Zeros(long count, DynamicCode code)
        {
            var codes = new byte[count];
            Array.Fill(codes, code.Encode(0));
            return codes;
        }
    }
}

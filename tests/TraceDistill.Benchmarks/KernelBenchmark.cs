using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Optimization;
using static TorchSharp.torch;

namespace TraceDistill.Benchmarks;

/// <summary>
/// What each kernel behind an operation gains, and the embedding's own gradient: time of it and of the same in libtorch's operations,
/// forward and back, for a micro-batch of 1,024 tokens on one core, in turns within one run; the least of the rounds is told.
/// For dropout, libtorch draws random numbers of its own: it has none that belong to a token. Muon's orthogonalization is of a
/// layer's matrices instead, hidden × hidden and hidden × inner.
/// </summary>
static class KernelBenchmark
{
    const int Tokens = 1_024,
        Named = 21;

    const double Rate = 0.1;

    static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(500);

    public static int Run(Arguments arguments)
    {
        var wanted = arguments.Text("sizes")?.Split(',') ?? ["0.4M", "3.3M", "22M", "124M"];
        var rounds = arguments.Number("rounds", 60);
        set_num_threads(1);
        Console.WriteLine("operation | size | kernel ms | libtorch ms | libtorch ÷ kernel");
        foreach (var size in EngineTable.Sizes.Where(size => wanted.Contains(size.Name)))
        {
            var shape = size.Architecture().Configure(size.Vocabulary, [0]);
            var batch = new TokenBatch(new int[Tokens], [.. Enumerable.Repeat(size.Length, Tokens / size.Length)]);
            using var attention = new RotaryAttention(shape, shape.AttentionOf(0));
            using var ones = torch.ones(shape.HiddenSize).DetachFromDisposeScope();
            using var headOnes = torch.ones(shape.HeadDim).DetachFromDisposeScope();
            var noise = PassNoise.Create(new UpdateNoise(1, 1, 0), [.. batch.Lengths.Select((_, i) => i)], batch.Lengths);
            var width = shape.QuerySize + (2 * shape.KeyValueSize);
            Console.WriteLine(Row("RMSNorm", Gradient(shape.HiddenSize, x => RmsNorm.Apply(x, ones, shape.RmsNormEps))));
            Console.WriteLine(Row("norms of heads", Gradient(width, x => HeadNorm.Apply(x, headOnes, headOnes, shape))));
            Console.WriteLine(Row("rotary attention", Gradient(width, x => attention.Apply(x, batch, batch.Starts))));
            Console.WriteLine(Row("SwiGLU", Gradient(2 * shape.IntermediateSize, x => GatedActivation.Apply(x))));
            var states = size.Recurrent().Configure(size.Vocabulary, [0]).Recurrence!;
            var sequences = new SequenceRows(batch.Lengths, states.ConvKernel, ScalarType.Float32, CPU);
            using var taps = randn(shape.HiddenSize, 1, states.ConvKernel).DetachFromDisposeScope();
            Console.WriteLine(Row("minGRU", Gradient(2 * states.StateSize, x => MinGru.Apply(x, sequences))));
            Console.WriteLine(Row("causal convolution", Gradient(shape.HiddenSize, x => CausalConvolution.Apply(x, taps, sequences))));
            Console.WriteLine(Row("softmax by named tokens", () => Softmax(shape.VocabSize)));
            Console.WriteLine(
                Row(
                    "dropout",
                    Gradient(shape.HiddenSize, x => Noise.Drop(x, Rate, noise, purpose: 1)),
                    Gradient(shape.HiddenSize, x => nn.functional.dropout(x, Rate))
                )
            );
            using (var scope = NewDisposeScope())
            {
                var gradient = zeros(shape.VocabSize, shape.HiddenSize);
                var leaf = randn(shape.VocabSize, shape.HiddenSize).requires_grad_(true);
                leaf.grad = gradient;
                var ids = randint(0, shape.VocabSize, [Tokens], dtype: ScalarType.Int64);
                Console.WriteLine(
                    Row(
                        "embedding",
                        Gradient(1, _ => Embedding.Apply(new Weight(leaf, gradient), ids, ScalarType.Float32)),
                        Gradient(1, _ => leaf.index_select(0, ids))
                    )
                );
            }

            foreach (var columns in new[] { shape.HiddenSize, shape.IntermediateSize })
            {
                using var scope = NewDisposeScope();
                using var orthogonalizer = new NewtonSchulz([
                    [shape.HiddenSize, columns],
                ]);
                using var gradient = new FloatBuffer((long)shape.HiddenSize * columns);
                var source = randn(shape.HiddenSize, columns);
                var matrix = gradient.Matrix(shape.HiddenSize, columns, 0);
                Console.WriteLine(
                    Row(
                        $"orthogonalization of {shape.HiddenSize} × {columns}",
                        () => Timed(() => orthogonalizer.Orthogonalize(gradient.Span, shape.HiddenSize, columns)),
                        () =>
                            Timed(() =>
                            {
                                using var result = NewtonSchulz.Orthogonalize(matrix);
                                matrix.copy_(result);
                            })
                    )
                );

                TimeSpan Timed(Action orthogonalize)
                {
                    matrix.copy_(source);
                    var start = Stopwatch.GetTimestamp();
                    orthogonalize();
                    return Stopwatch.GetElapsedTime(start);
                }
            }

            // Without a second measure the first one is that of libtorch's operations as well, with kernels switched off.
            string Row(string operation, Func<TimeSpan> measure, Func<TimeSpan>? libtorch = null)
            {
                var (kernel, plain) = (TimeSpan.MaxValue, TimeSpan.MaxValue);
                for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < WarmUp; )
                {
                    measure(); // until the runtime has compiled it for speed
                }

                for (var round = 0; round < rounds; round++)
                {
                    CpuKernels.AreUsed = true;
                    kernel = Least(kernel, measure());
                    CpuKernels.AreUsed = false;
                    plain = Least(plain, (libtorch ?? measure)());
                }

                CpuKernels.AreUsed = true;
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"{operation} | {size.Name} | {kernel.TotalMilliseconds:F2} | {plain.TotalMilliseconds:F2} | {plain / kernel:F2}"
                );
            }
        }

        return 0;
    }

    static TimeSpan Least(TimeSpan a, TimeSpan b) => a < b ? a : b;

    /// <summary>Takes the time of an operation on random rows and of its gradient.</summary>
    static Func<TimeSpan> Gradient(int width, Func<Tensor, Tensor> apply) =>
        () =>
        {
            using var scope = NewDisposeScope();
            var leaf = randn(Tokens, width).requires_grad_(true);
            var input = leaf.alias(); // what comes from a product is no leaf, and kernels may use it up
            var start = Stopwatch.GetTimestamp();
            var output = apply(input);
            var forward = Stopwatch.GetElapsedTime(start);
            using var slopes = ones_like(output);
            start = Stopwatch.GetTimestamp();
            output.backward([slopes]);
            CustomGradient.Finish();
            return forward + Stopwatch.GetElapsedTime(start);
        };

    /// <summary>A chunk of the head: 20 soft targets and the drawn token of each row.</summary>
    static TimeSpan Softmax(int vocabulary)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var rows = Math.Max(128, (1 << 19) / vocabulary);
        var (logits, ids) = (randn(rows, vocabulary), rand(rows, vocabulary).topk(Named, 1).indexes);
        var present = torch.ones(rows, Named, dtype: ScalarType.Bool);
        var slopes = randn(rows, Named + 1, dtype: ScalarType.Float64);
        var start = Stopwatch.GetTimestamp();
        _ = NamedLogits.Split(logits, ids, present).Gradient(slopes);
        return Stopwatch.GetElapsedTime(start);
    }
}

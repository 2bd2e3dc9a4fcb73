using TorchSharp;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Tests.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Distributions;

// V = vocabulary, D = channels

/// <summary>Soft targets that are drawn, or cut, from a whole distribution.</summary>
public class DrawnTargetsTests
{
    [Fact]
    [Trait("Category", "Numeric")]
    public void Draw_ManyRows_CountsFollowTheDistribution()
    {
        using var scope = NewDisposeScope();
        double[] p = ReferenceLoss.Softmax([2, 0.5, -1, -3, 0, 1]);
        const int Rows = 20_000,
            Draws = 12;
        var log = tensor(p, device: TestDevice.Current).log().unsqueeze(0).expand(Rows, p.Length);

        var (outcomes, counts) = DrawnTargets.Draw(log, Keys(Rows), Draws);

        long[] ids = [.. outcomes.cpu().data<long>()];
        double[] numbers = [.. counts.cpu().data<double>()];
        Assert.All(Enumerable.Range(0, Rows), row => Assert.Equal(Draws, numbers.Skip(row * Draws).Take(Draws).Sum()));
        for (var i = 0; i < p.Length; i++)
        {
            var found = ids.Zip(numbers).Where(pair => pair.First == i).Sum(pair => pair.Second);
            // Five standard deviations of a binomial.
            Assert.Equal(p[i] * Rows * Draws, found, 5 * Math.Sqrt(Rows * Draws * p[i] * (1 - p[i])));
        }
    }

    [Fact]
    [Trait("Category", "Numeric")]
    public void Draw_SameKeys_DrawTheSameWhateverElseIsInTheChunk()
    {
        using var scope = NewDisposeScope();
        var log = randn([5, 30], generator: new Generator(3)).to(TestDevice.Current);

        var (all, counts) = DrawnTargets.Draw(log, Keys(5), 7);
        var (one, count) = DrawnTargets.Draw(log.narrow(0, 3, 1), Keys(5).AsSpan(3, 1), 7);

        Assert.Equal(all.narrow(0, 3, 1).cpu().data<long>().ToArray(), one.cpu().data<long>().ToArray());
        Assert.Equal(counts.narrow(0, 3, 1).cpu().data<double>().ToArray(), count.cpu().data<double>().ToArray());
    }

    /// <summary>
    /// RS-KD (arXiv 2503.16870), section 4: for Zipf-like distributions whose first twelve of 50,304 words have 0.8 of the mass, and a
    /// student that is some way to them (log q is off by a quarter of a nat), the gradient of the output matrix over 4,096 tokens of one
    /// distribution is that of full distillation but for noise where twelve tokens are drawn, and another where the top twelve are taken
    /// for all there is.
    /// </summary>
    [Fact]
    public void Gradient_TwelveDrawnTokens_IsThatOfFullDistillationAndOfTheTopTwelveIsNot()
    {
        const int V = 50_304,
            D = 4,
            Rows = 256,
            Chunks = 16,
            K = 12;
        double[] drawnAngles = new double[4],
            cutAngles = new double[4];
        for (var context = 0; context < drawnAngles.Length; context++)
        {
            using var scope = NewDisposeScope();
            var generator = new Generator((ulong)(5 + context));
            // p ∝ 1 / rank^1.523; which words are frequent is of no matter.
            var p = arange(1, V + 1, dtype: ScalarType.Float64).log().mul(-1.523).log_softmax(0);
            Assert.InRange(p.narrow(0, 0, K).exp().sum().item<double>(), 0.79, 0.81);
            var off = randn(V, dtype: ScalarType.Float64, generator: generator).mul(0.25);
            var (teacher, student) = (Single(p), Single(p.add(off)));
            Tensor drawn = zeros([V, D], dtype: ScalarType.Float64, device: TestDevice.Current),
                sum = zeros([1, D], dtype: ScalarType.Float64, device: TestDevice.Current);
            for (var chunk = 0; chunk < Chunks; chunk++)
            {
                using var inner = NewDisposeScope();
                var noise = randn([Rows, D], dtype: ScalarType.Float64, generator: generator).mul(0.3);
                var hidden = ones_like(noise).add(noise).to(TestDevice.Current);
                var policy = new TargetPolicy { Sampling = SoftTargetSampling.RandomSampling, Draws = K };
                var slopes = Slopes(teacher, student, Rows, policy, Keys(Rows, (context * Chunks) + chunk)); // [rows, V]
                drawn.add_(slopes.to(ScalarType.Float64).t().matmul(hidden));
                sum.add_(hidden.sum(dim: 0, keepdim: true));
            }

            // The others have one slope for all tokens.
            var full = Slopes(teacher, student, 1, new TargetPolicy(), []);
            var cut = Slopes(teacher, student, 1, new TargetPolicy { TopK = K, MissingMass = MissingMass.Truncate }, []);
            (drawnAngles[context], cutAngles[context]) = (Angle(drawn, Outer(full, sum)), Angle(Outer(cut, sum), Outer(full, sum)));
        }

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"drawn {drawnAngles.Min():F1} to {drawnAngles.Max():F1}°, top 12 {cutAngles.Min():F1} to {cutAngles.Max():F1}°"
        );
        Assert.InRange(drawnAngles.Average(), 0, 5);
        Assert.InRange(cutAngles.Average(), 40, 180);

        static Tensor Single(Tensor logits) => logits.to(ScalarType.Float32).unsqueeze(0).to(TestDevice.Current);

        static Tensor Outer(Tensor slope, Tensor sum) => slope.to(ScalarType.Float64).t().matmul(sum);

        static Tensor Slopes(Tensor teacher, Tensor student, int rows, TargetPolicy policy, ulong[] keys)
        {
            var targets = TargetRows.Of(Bare(rows), 0, rows, TestDevice.Current).With(teacher.expand(rows, V), V, policy, keys);
            var logits = StudentRows.Of(student.repeat(rows, 1), targets);
            new KlForward().Loss(logits, targets, TrainingPoint.First).sum().backward();
            return logits.LogitGradient();
        }
    }

    /// <summary>The k most probable tokens of a model's distribution are the soft targets that it would have reported.</summary>
    [Theory]
    [Trait("Category", "Numeric")]
    [InlineData(MissingMass.TailBucket)]
    [InlineData(MissingMass.Renormalize)]
    [InlineData(MissingMass.UniformTail)]
    [InlineData(MissingMass.ResidualToLabel)]
    [InlineData(MissingMass.Truncate)]
    public void With_TopKOfAModel_TeachesAsItsStoredTopK(MissingMass policy)
    {
        using var scope = NewDisposeScope();
        const int V = 30,
            K = 4;
        float[] teacher = [.. Enumerable.Range(0, V).Select(i => (float)Math.Sin(i * i))],
            logits = [.. Enumerable.Range(0, V).Select(i => (float)Math.Cos(i * 3.1))];
        double[] p = ReferenceLoss.Softmax([.. teacher.Select(value => (double)value)]);
        int[] ids = [.. Enumerable.Range(0, V).OrderByDescending(i => p[i]).Take(K)];
        foreach (var drawn in new[] { ids[1], Enumerable.Range(0, V).Except(ids).First() })
        {
            var stored = Batch(drawn, ids, [.. ids.Select(id => (float)Math.Log(p[id]))], (float)Math.Log(1 - ids.Sum(id => p[id])));
            var settings = new TargetPolicy { MissingMass = policy, TopK = K };
            var expected = Rows(stored).As(V, settings, []);
            var actual = Rows(Batch(drawn, [], [], 0)).With(Row(teacher), V, settings, []);

            var (loss, gradient) = Evaluate(actual);
            var (storedLoss, storedGradient) = Evaluate(expected);
            Assert.Equal(storedLoss, loss, 1e-5);
            Assert.All(gradient.Zip(storedGradient), pair => Assert.Equal(pair.Second, pair.First, Rounding.Of(V + 10)));
        }

        (double Loss, float[] Gradient) Evaluate(TargetRows targets)
        {
            var student = StudentRows.Of(Row(logits), targets);
            var loss = new KlForward().Loss(student, targets, TrainingPoint.First);
            loss.sum().backward();
            return (loss.to(ScalarType.Float64).item<double>(), [.. student.LogitGradient().cpu().data<float>()]);
        }
    }

    /// <summary>The mean over draws of the loss's gradient is that of the dense loss.</summary>
    [Fact]
    [Trait("Category", "Numeric")]
    public void With_RandomSampling_HasTheDenseGradientOnAverage()
    {
        using var scope = NewDisposeScope();
        const int V = 20,
            Rows = 4_000,
            Draws = 3;
        float[] teacher = [.. Enumerable.Range(0, V).Select(i => (float)Math.Sin(i * i) * 2)],
            logits = [.. Enumerable.Range(0, V).Select(i => (float)Math.Cos(i * 3.1))];
        var policy = new TargetPolicy { Sampling = SoftTargetSampling.RandomSampling, Draws = Draws };
        var targets = TargetRows.Of(Bare(Rows), 0, Rows, TestDevice.Current).With(Row(teacher).expand(Rows, V), V, policy, Keys(Rows));
        var student = StudentRows.Of(Row(logits).repeat(Rows, 1), targets);

        new KlForward().Loss(student, targets, TrainingPoint.First).sum().backward();
        double[] mean = [.. student.LogitGradient().to(ScalarType.Float64).mean([0]).cpu().data<double>()];

        double[] p = ReferenceLoss.Softmax([.. teacher.Select(value => (double)value)]),
            q = ReferenceLoss.Softmax([.. logits.Select(value => (double)value)]);
        Assert.All(Enumerable.Range(0, V), i =>
            Assert.Equal(q[i] - p[i], mean[i], 5 * Math.Sqrt(p[i] * (1 - p[i]) / (Rows * Draws)) + 1e-5)
        );
    }

    static PackedBatch Batch(int drawn, int[] ids, float[] logprobs, float tail) =>
        new()
        {
            Ids = [0],
            Lengths = [1],
            Rows = [0],
            Targets = [drawn],
            SoftStarts = [0, ids.Length],
            SoftIds = ids,
            SoftLogprobs = logprobs,
            Tails = [tail],
            UnmatchedStarts = [0, 0],
            Unmatched = [],
        };

    /// <summary>Tokens without soft targets of their own.</summary>
    static PackedBatch Bare(int rows) =>
        new()
        {
            Ids = new int[rows],
            Lengths = [rows],
            Rows = [.. Enumerable.Range(0, rows)],
            Targets = new int[rows],
            SoftStarts = new int[rows + 1],
            SoftIds = [],
            SoftLogprobs = [],
            Tails = new float[rows],
            UnmatchedStarts = new int[rows + 1],
            Unmatched = [],
        };

    static TargetRows Rows(PackedBatch batch) => TargetRows.Of(batch, 0, 1, TestDevice.Current);

    static Tensor Row(float[] values) => tensor(values, device: TestDevice.Current).unsqueeze(0);

    static double Angle(Tensor a, Tensor b) => Math.Acos(((a * b).sum() / (a.norm() * b.norm())).item<double>()) * 180 / Math.PI;

    static ulong[] Keys(int count, int chunk = 0) =>
        [.. Enumerable.Range(0, count).Select(i => new Data.Determinism.SplitMix64((ulong)((chunk * 100_003) + i)).Next())];
}

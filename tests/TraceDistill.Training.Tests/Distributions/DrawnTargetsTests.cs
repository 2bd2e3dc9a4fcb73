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
[Trait("Category", "Numeric")]
public class DrawnTargetsTests
{
    [Fact]
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
    /// student that is some way to them (log q is off by a quarter of a nat), the gradient of the output matrix over 4,096 tokens is that
    /// of full distillation but for noise where twelve tokens are drawn, and another where the top twelve are kept and made to sum to 1.
    /// </summary>
    [Fact]
    public void Gradient_TwelveDrawnTokens_IsThatOfFullDistillationAndOfTheTopTwelveIsNot()
    {
        const int V = 50_304,
            D = 4,
            Rows = 256,
            Chunks = 16;
        using var noGrad = no_grad();
        double[] drawnAngles = new double[4],
            cutAngles = new double[4];
        for (var context = 0; context < 4; context++)
        {
            using var scope = NewDisposeScope();
            var generator = new Generator((ulong)(5 + context));
            // p ∝ 1 / rank^1.523; which words are frequent is of no matter.
            var zipf = arange(1, V + 1, dtype: ScalarType.Float64).pow(-1.523);
            var p = zipf / zipf.sum();
            Assert.InRange(p.narrow(0, 0, 12).sum().item<double>(), 0.79, 0.81);
            var q = (p.log() + (randn(V, dtype: ScalarType.Float64, generator: generator) * 0.25)).softmax(0);
            var top = zeros_like(p);
            top.narrow(0, 0, 12).copy_(p.narrow(0, 0, 12) / p.narrow(0, 0, 12).sum());
            Tensor drawn = zeros([V, D], dtype: ScalarType.Float64),
                sum = zeros([1, D], dtype: ScalarType.Float64);
            for (var chunk = 0; chunk < Chunks; chunk++)
            {
                using var inner = NewDisposeScope();
                var hidden = 1 + (randn([Rows, D], dtype: ScalarType.Float64, generator: generator) * 0.3);
                var (ids, counts) = DrawnTargets.Draw(p.log().unsqueeze(0).expand(Rows, V), Keys(Rows, (context * Chunks) + chunk), 12);
                drawn.index_add_(0, ids.reshape(-1), ((counts / -12).unsqueeze(2) * hidden.unsqueeze(1)).reshape(-1, D), 1);
                sum.add_(hidden.sum(dim: 0, keepdim: true));
            }

            var (full, cut) = ((q - p).unsqueeze(1) * sum, (q - top).unsqueeze(1) * sum);
            drawn.add_(q.unsqueeze(1) * sum);
            (drawnAngles[context], cutAngles[context]) = (Angle(drawn, full), Angle(cut, full));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"drawn {drawnAngles.Average():F1}°, top 12 {cutAngles.Average():F1}°");
        Assert.InRange(drawnAngles.Average(), 0, 5);
        Assert.InRange(cutAngles.Average(), 40, 90);
    }

    /// <summary>The k most probable tokens of a model's distribution are the soft targets that it would have reported.</summary>
    [Theory]
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
    public void With_RandomSampling_HasTheDenseGradientOnAverage()
    {
        using var scope = NewDisposeScope();
        const int V = 20,
            Rows = 4_000,
            Draws = 3;
        float[] teacher = [.. Enumerable.Range(0, V).Select(i => (float)Math.Sin(i * i) * 2)],
            logits = [.. Enumerable.Range(0, V).Select(i => (float)Math.Cos(i * 3.1))];
        var batch = new PackedBatch
        {
            Ids = new int[Rows],
            Lengths = [Rows],
            Rows = [.. Enumerable.Range(0, Rows)],
            Targets = new int[Rows],
            SoftStarts = new int[Rows + 1],
            SoftIds = [],
            SoftLogprobs = [],
            Tails = new float[Rows],
            UnmatchedStarts = new int[Rows + 1],
            Unmatched = [],
        };
        var policy = new TargetPolicy { Sampling = SoftTargetSampling.RandomSampling, Draws = Draws };
        var targets = TargetRows.Of(batch, 0, Rows, TestDevice.Current).With(Row(teacher).expand(Rows, V), V, policy, Keys(Rows));
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

    static TargetRows Rows(PackedBatch batch) => TargetRows.Of(batch, 0, 1, TestDevice.Current);

    static Tensor Row(float[] values) => tensor(values, device: TestDevice.Current).unsqueeze(0);

    static double Angle(Tensor a, Tensor b) => Math.Acos(((a * b).sum() / (a.norm() * b.norm())).item<double>()) * 180 / Math.PI;

    static ulong[] Keys(int count, int chunk = 0) =>
        [.. Enumerable.Range(0, count).Select(i => new Data.Determinism.SplitMix64((ulong)((chunk * 100_003) + i)).Next())];
}

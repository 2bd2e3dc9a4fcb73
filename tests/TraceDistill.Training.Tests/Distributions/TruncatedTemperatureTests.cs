using TraceDistill.Tests.Support;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Tests.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Distributions;

/// <summary>Temperature on a teacher of which only the top k are known, against what the whole distribution says at it.</summary>
[Trait("Category", "Numeric")]
public class TruncatedTemperatureTests
{
    const int V = 2_000,
        K = 20;

    /// <summary>p ∝ 1 / rank^1.3: the first twenty have 0.84 of the mass.</summary>
    static readonly double[] Zipf = [.. Enumerable.Range(1, V).Select(rank => -1.3 * Math.Log(rank))];

    /// <summary>As above, and all others alike: what uniform_tail assumes.</summary>
    static readonly double[] Even = [.. Enumerable.Range(0, V).Select(i => i < K ? Zipf[i] : -6)];

    static readonly double[] Student = [.. Enumerable.Range(0, V).Select(i => (0.8 * Zipf[i]) + Math.Sin(i * 3.1))];

    /// <summary>Tempering a conditional distribution is conditioning a tempered one.</summary>
    [Theory]
    [InlineData(0.5)]
    [InlineData(2)]
    [InlineData(4)]
    public void Renormalize_AnyTemperature_IsTheWholeResultAmongTheTopK(double temperature)
    {
        double[] p = ReferenceLoss.Softmax(Divided(Zipf, temperature)),
            q = ReferenceLoss.Softmax(Divided(Student, temperature));

        Assert.Equal(
            temperature * temperature * Kl(Among(p), Among(q)),
            Loss(Zipf, MissingMass.Renormalize, temperature),
            Tolerance(temperature)
        );

        static double[] Among(double[] of) => [.. of.Take(K).Select(value => value / of.Take(K).Sum())];
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(2)]
    [InlineData(4)]
    public void UniformTail_OthersAlike_IsTheWholeResult(double temperature) =>
        Assert.Equal(Whole(Even, temperature), Loss(Even, MissingMass.UniformTail, temperature), Tolerance(temperature));

    /// <summary>Without a temperature nothing is assumed of the tail: the coarser outcomes have a smaller divergence.</summary>
    [Fact]
    public void TailBucket_TemperatureOfOne_IsAtMostTheWholeResult()
    {
        double[] p = ReferenceLoss.Softmax(Zipf),
            q = ReferenceLoss.Softmax(Student);

        var loss = Loss(Zipf, MissingMass.TailBucket, 1);
        Assert.Equal(Kl([.. p.Take(K), p.Skip(K).Sum()], [.. q.Take(K), q.Skip(K).Sum()]), loss, Tolerance(1));
        Assert.InRange(loss, 0, Whole(Zipf, 1));
    }

    /// <summary>
    /// A tail is tempered as if it were one token: of what all others together have at T it has too little above T = 1, and too much below.
    /// </summary>
    [Theory]
    [InlineData(0.5)]
    [InlineData(2)]
    [InlineData(4)]
    public void TailBucket_Temperature_MistakesTheTail(double temperature)
    {
        var whole = ReferenceLoss.Softmax(Divided(Zipf, temperature)).Skip(K).Sum();
        var bucket = TailAt(temperature);

        TestContext.Current.TestOutputHelper?.WriteLine($"T = {temperature}: others have {whole:F3}, as one token {bucket:F3}");
        Assert.Equal(temperature > 1, bucket < whole);

        static double TailAt(double temperature)
        {
            double[] p = ReferenceLoss.Softmax(Zipf);
            double[] powers = [.. p.Take(K).Append(p.Skip(K).Sum()).Select(value => Math.Pow(value, 1 / temperature))];
            using var scope = NewDisposeScope();
            var targets = Rows(Zipf).As(V, new TargetPolicy(), []);
            var outcomes = Outcomes.Of(StudentRows.Of(Logits(), targets), targets, new Temperature(temperature));
            var tail = outcomes.Teacher.select(1, K).item<double>();
            Assert.Equal(powers[K] / powers.Sum(), tail, 1e-6);
            return tail;
        }
    }

    static double Whole(double[] teacher, double temperature) =>
        temperature
        * temperature
        * Kl(ReferenceLoss.Softmax(Divided(teacher, temperature)), ReferenceLoss.Softmax(Divided(Student, temperature)));

    static double Loss(double[] teacher, MissingMass policy, double temperature)
    {
        using var scope = NewDisposeScope();
        var targets = Rows(teacher).As(V, new TargetPolicy { MissingMass = policy }, []);
        return new KlForward { Temperature = Schedule.Constant(temperature) }
            .Loss(StudentRows.Of(Logits(), targets), targets, TrainingPoint.First)
            .to(ScalarType.Float64)
            .item<double>();
    }

    static TargetRows Rows(double[] logits)
    {
        double[] p = ReferenceLoss.Softmax(logits);
        var batch = new PackedBatch
        {
            Ids = [0],
            Lengths = [1],
            Rows = [0],
            Targets = [3],
            SoftStarts = [0, K],
            SoftIds = [.. Enumerable.Range(0, K)],
            SoftLogprobs = [.. p.Take(K).Select(value => (float)Math.Log(value))],
            Tails = [(float)Math.Log(p.Skip(K).Sum())],
            UnmatchedStarts = [0, 0],
            Unmatched = [],
        };
        return TargetRows.Of(batch, 0, 1, TestDevice.Current);
    }

    static Tensor Logits() => tensor(Student.Select(value => (float)value).ToArray(), device: TestDevice.Current).unsqueeze(0);

    static double[] Divided(double[] logits, double temperature) => [.. logits.Select(value => value / temperature)];

    static double Kl(double[] p, double[] q) => p.Zip(q, (a, b) => a * Math.Log(a / b)).Sum();

    /// <summary>Logits up to 11 in float32, and sums over the vocabulary.</summary>
    static double Tolerance(double temperature) => 20 * temperature * temperature * Rounding.Of(V + 10);
}

using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Head;

// M = trained tokens, D = hidden, V = vocabulary, K = soft targets, U = unmatched alternatives

/// <summary>Loss and gradients of several chunks are those of whole logits, which the test makes in float64.</summary>
[Trait("Category", "Numeric")]
public class ChunkedHeadTests
{
    const int V = 8_000,
        K = 4,
        U = 3;
    const double Cap = 5;

    static readonly int Tokens = 4 * ChunkedHead.RowsOf(V, TestDevice.Current.type) + 70;

    static readonly ModelConfiguration Shape = SampleSequences.Shape with { VocabSize = V, HiddenSize = 24, NumHiddenLayers = 1 };

    static readonly ModelConfiguration Capped = Shape with
    {
        Family = ModelFamily.Gemma2,
        QueryPreAttnScalar = 16,
        AttentionSoftCap = 50,
        LogitSoftCap = Cap,
        InitializerRange = 0.8, // logits are as large as the cap
    };

    /// <summary>Each objective with and without a cap, and all of them over every kind of output.</summary>
    public static TheoryData<string, bool, bool> All =>
        [
            .. from objectives in new[] { "ce", "tail", "renormalized", "uld", "z", "all" }
            from isTied in new[] { false, true }
            from hasCap in new[] { false, true }
            where isTied == hasCap || objectives == "all"
            select (objectives, isTied, hasCap),
        ];

    [Theory]
    [MemberData(nameof(All))]
    public void ForwardBackward_SeveralChunks_GivesLossAndGradientsOfWholeLogits(string objectives, bool isTied, bool hasCap)
    {
        var settings = objectives switch
        {
            "ce" => new Settings(0, 1),
            "tail" => new Settings(0.7, 2),
            "renormalized" => new Settings(0.7, 1.5, MissingMass: MissingMass.Renormalize),
            "uld" => new Settings(1, 1, Uld: 20),
            "z" => new Settings(0, 1, Z: 0.1),
            _ => new Settings(0.6, 1.3, Uld: 2, Z: 0.05),
        };
        using var scope = NewDisposeScope();
        using var parameters = SampleSequences.Parameters((hasCap ? Capped : Shape) with { TieWordEmbeddings = isTied });
        var name = isTied ? "model.embed_tokens.weight" : "lm_head.weight";
        var batch = Batch();
        var hidden = randn([Tokens, Shape.HiddenSize], generator: new Generator(4));

        var weights = TrainedWeights.All(parameters);
        var (chunks, loss, slopes, gradient) = TestDevice.With(weights, () =>
        {
            using var buffer = new FloatBuffer(parameters.Count, TestDevice.Current);
            using var decoder = new Decoder(weights, buffer);
            var head = new ChunkedHead(decoder);
            var states = hidden.to(TestDevice.Current);
            var count = 0;
            head.Visit(states, batch, (_, _, _) => count++);
            var (gradient, totals) = head.ForwardBackward(states, batch, settings.Plan.At(TrainingPoint.First));
            return (count, totals.Loss, gradient.cpu(), buffer.CopyTo(CPU));
        });

        using (gradient)
        {
            var x = hidden.to(ScalarType.Float64).requires_grad_(true);
            var output = parameters.Matrix(parameters.Flat, name).to(ScalarType.Float64).requires_grad_(true);
            var expected = Loss(x.matmul(output.t()), batch, settings, hasCap);
            expected.backward();
            Assert.Equal(5, chunks);
            Assert.Equal(expected.item<double>(), loss, 1e-5 * expected.item<double>());
            Rounding.Close(x.grad!, slopes, 1e-5);
            Rounding.Close(output.grad!, parameters.Matrix(gradient, name), 1e-5);
            var others = parameters
                .Names.Where(other => other != name)
                .Sum(other => parameters.Matrix(gradient, other).abs().sum().item<float>());
            Assert.Equal(0, others);
        }
    }

    /// <summary>
    /// α·(T²·KL + uld·L₁) + (1 − α)·CE + z·log² Z, where a token without soft targets has all of CE and nothing of the first.
    /// </summary>
    static Tensor Loss(Tensor logits, PackedBatch batch, Settings settings, bool hasCap)
    {
        var z = hasCap ? (logits / Cap).tanh() * Cap : logits; // [M, V]
        var normalizer = z.logsumexp(1, keepdim: true); // [M, 1]
        var log = z - normalizer;
        var drawn = tensor(batch.Targets.Select(id => (long)id).ToArray()).unsqueeze(1);
        var hasSoft = tensor(Enumerable.Range(0, Tokens).Select(m => HasSoft(m) ? 1.0 : 0.0).ToArray());
        var crossEntropy = -log.gather(1, drawn).squeeze(1); // [M]
        var loss = (crossEntropy * (1 - settings.Alpha * hasSoft)).sum() + settings.Z * normalizer.Squared().sum();
        if (settings.Alpha == 0)
        {
            return loss;
        }

        var soft = tensor(Enumerable.Range(0, Tokens).Where(HasSoft).Select(m => (long)m).ToArray());
        log = log.index_select(0, soft); // from here on M is the tokens that have soft targets
        var ids = tensor(batch.SoftIds.Select(id => (long)id).ToArray()).reshape(-1, K);
        var teacher = tensor(batch.SoftLogprobs.Select(value => (double)value).ToArray()).reshape(-1, K);
        var tails = tensor(batch.Tails.Where((_, m) => HasSoft(m)).Select(value => (double)value).ToArray()).unsqueeze(1);
        var others = log.scatter(1, ids, full_like(log, double.NegativeInfinity)); // [M, V]
        var student = log.gather(1, ids); // [M, K]
        if (settings.MissingMass == MissingMass.TailBucket)
        {
            (teacher, student) = (cat([teacher, tails], 1), cat([student, others.logsumexp(1, keepdim: true)], 1));
        }

        var temperature = settings.Temperature;
        var (logP, logQ) = ((teacher / temperature).log_softmax(1), (student / temperature).log_softmax(1));
        var divergence = (logP.exp() * (logP - logQ)).sum();
        var unmatched = tensor(batch.Unmatched.Select(value => (double)value).ToArray()).reshape(-1, U);
        var distance = (others.exp().sort(1, descending: true).Values.narrow(1, 0, U) - unmatched).abs().sum();
        return loss + settings.Alpha * (temperature * temperature * divergence + settings.Uld * distance);
    }

    static bool HasSoft(int m) => m % 5 != 2;

    /// <summary>Random tokens; four of five have soft targets, the drawn token not always among them.</summary>
    static PackedBatch Batch()
    {
        var random = new Random(6);
        int[] starts = [0, .. Enumerable.Range(1, Tokens).Select(m => Enumerable.Range(0, m).Count(HasSoft))];
        var soft = starts[^1];
        int[] ids = [.. Enumerable.Range(0, soft).SelectMany(_ => Enumerable.Range(0, K).Select(k => (random.Next(V / K) * K) + k))];
        double[][] teacher =
        [
            .. Enumerable.Range(0, soft).Select(_ => Enumerable.Range(0, K + 1).Select(_ => random.NextDouble()).ToArray()),
        ];
        return new PackedBatch
        {
            Ids = new int[Tokens],
            Lengths = [Tokens],
            Rows = [.. Enumerable.Range(0, Tokens)],
            Targets = [.. Enumerable.Range(0, Tokens).Select(m => HasSoft(m) && m % 2 == 0 ? ids[starts[m] * K] : random.Next(V))],
            SoftStarts = [.. starts.Select(start => start * K)],
            SoftIds = ids,
            SoftLogprobs = [.. teacher.SelectMany(row => row.Take(K).Select(value => (float)Math.Log(value / row.Sum())))],
            Tails = [.. Enumerable.Range(0, Tokens).Select(m => HasSoft(m) ? Tail(teacher[starts[m]]) : 0)],
            UnmatchedStarts = [.. starts.Select(start => start * U)],
            Unmatched =
            [
                .. teacher.SelectMany(row => new[] { row[K], 0.5 * row[K], 0.2 * row[K] }.Select(value => (float)(value / row.Sum()))),
            ],
        };

        static float Tail(double[] row) => (float)Math.Log(row[K] / row.Sum());
    }

    readonly record struct Settings(
        double Alpha,
        double Temperature,
        MissingMass MissingMass = MissingMass.TailBucket,
        double Uld = 0,
        double Z = 0
    )
    {
        public ObjectivePlan Plan => ObjectivePlan.Classic(Alpha, Temperature, MissingMass, Uld, Z);
    }
}

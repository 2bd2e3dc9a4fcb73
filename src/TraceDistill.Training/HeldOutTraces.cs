using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Teaching;
using static TorchSharp.torch;

namespace TraceDistill.Training;

/// <summary>Quantities by which a model in training is judged.</summary>
public enum HeldOutMetric
{
    /// <summary>
    /// kd_alpha · KL + (1 − kd_alpha) · CE with the last step's kd_alpha, whatever the objectives are; in their place the share of soft
    /// targets in the weights of soft objectives and cross entropy. Smaller is better.
    /// </summary>
    Loss,

    /// <summary>KL(teacher ‖ student); smaller is better.</summary>
    Kl,

    /// <summary>Cross entropy of the drawn tokens; smaller is better.</summary>
    Ce,

    /// <summary>Share of tokens at which the student's most probable token is the teacher's; larger is better.</summary>
    Top1,

    /// <summary>Share of problems that it answers correctly; larger is better.</summary>
    Accuracy,
}

/// <summary>Compares a model in training with traces that it does not learn from. No gradient is computed.</summary>
/// <param name="sequences">The traces, as they would be trained on.</param>
/// <param name="tokens">Most tokens of one forward pass.</param>
/// <param name="workers">Threads; the result does not depend on them.</param>
/// <param name="blocks">The file that the model is trained for, as which it is judged; null for none.</param>
/// <param name="teacher">A model whose distributions take the place of the traces' soft targets; null for those.</param>
/// <param name="panel">Several teachers in place of one; null for none.</param>
public sealed class HeldOutTraces(
    IReadOnlyList<TraceTokens> sequences,
    int tokens,
    int workers,
    BlockPlan? blocks = null,
    TeacherModel? teacher = null,
    TeacherPanel? panel = null
)
{
    static readonly KlForward Divergence = new();

    /// <summary>Means over all tokens that would be trained.</summary>
    /// <param name="weights">The model.</param>
    /// <param name="alpha">Weight of the soft targets in the loss.</param>
    /// <param name="cancellationToken">Stops before the next forward pass.</param>
    public HeldOutScores Score(TrainedWeights weights, double alpha, CancellationToken cancellationToken = default)
    {
        weights.Adapter?.Refresh();
        // Of like length together: attention on a GPU takes them as one (Models.Operations.LengthGroups).
        var pieces = SequencePacker.Split([.. sequences.OrderBy(sequence => sequence.Ids.Length)], sequence => sequence.Ids.Length, tokens);
        var sums = new Sums[pieces.Count];
        using var rounded = blocks is null ? null : new RoundedMatrices(weights.Model, isBFloat16: false, blocks);
        var threads = weights.Model.Device.type == DeviceType.CPU ? Math.Min(workers, pieces.Count) : 1;
        new Cores(workers).Each(threads, worker =>
        {
            using var noGrad = no_grad();
            using var decoder = new Decoder(weights, rounded: rounded);
            using var taught = teacher?.NewDecoder(isExact: true);
            Decoder[] models = [.. panel?.Models.Select(model => model.NewDecoder(isExact: true)) ?? []];
            var head = new ChunkedHead(decoder);
            for (var piece = worker; piece < pieces.Count; piece += threads)
            {
                cancellationToken.ThrowIfCancellationRequested();
                sums[piece] = Add(decoder, head, taught, models, pieces[piece]);
            }

            Array.ForEach(models, model => model.Dispose());
        });
        var total = sums.Aggregate(
            (a, b) => new Sums(a.Hard + b.Hard, a.Soft + b.Soft, a.Agreed + b.Agreed, a.Tokens + b.Tokens, a.SoftTokens + b.SoftTokens)
        );
        var (ce, kl) = (total.Hard / total.Tokens, total.SoftTokens > 0 ? total.Soft / total.SoftTokens : double.NaN);
        return new HeldOutScores(
            total.SoftTokens > 0 ? (alpha * kl) + ((1 - alpha) * ce) : ce,
            kl,
            ce,
            total.Agreed / total.Tokens,
            total.Tokens
        );
    }

    Sums Add(Decoder decoder, ChunkedHead head, Decoder? taught, Decoder[] models, IReadOnlyList<TraceTokens> piece)
    {
        using var scope = NewDisposeScope();
        var batch = PackedBatch.Create(piece);
        var hidden = decoder.Forward(batch.Tokens);
        var sums = default(Sums);
        head.Visit(
            hidden,
            batch,
            (_, student, targets) =>
            {
                var agrees = targets.Dense is { } dense
                    ? student.AllLogits.argmax(1).eq(dense.argmax(1))
                    : student.IsBest(targets.Reported.argmax(1, keepdim: true));
                // Without soft targets, or with draws alone, the teacher's token is the drawn one.
                if (targets.StatedTokens < targets.Rows)
                {
                    agrees = agrees.where(targets.IsStated.to(ScalarType.Bool), student.DrawnIsBest);
                }

                sums = new Sums(
                    sums.Hard - student.Drawn.sum().item<double>(),
                    sums.Soft
                        + Divergence.Loss(student, targets, TrainingPoint.First).to(ScalarType.Float64).dot(targets.HasSoft).item<double>(),
                    sums.Agreed + agrees.sum().item<long>(),
                    sums.Tokens + targets.Rows,
                    sums.SoftTokens + targets.SoftTokens
                );
            },
            taught is null ? null : new TeacherStates(taught, taught.Forward(batch.TeacherTokens)),
            panel is null ? null : PanelStates.Of(panel, models, batch.TeacherTokens)
        );
        return sums;
    }

    readonly record struct Sums(double Hard, double Soft, double Agreed, long Tokens, long SoftTokens);
}

/// <summary>A model on held-out traces: means over tokens, in nats.</summary>
/// <param name="Loss">α · KL + (1 − α) · CE, α as <see cref="HeldOutMetric.Loss"/> has it; CE alone without soft targets.</param>
/// <param name="Kl">KL(teacher ‖ student) over the reported tokens and the tail, at T = 1; NaN where there are no soft targets.</param>
/// <param name="Ce">Cross entropy of the drawn tokens.</param>
/// <param name="Top1">Share of tokens at which the most probable one is the teacher's.</param>
/// <param name="Tokens">Number of tokens.</param>
public readonly record struct HeldOutScores(double Loss, double Kl, double Ce, double Top1, long Tokens)
{
    /// <summary>For metrics.jsonl.</summary>
    public Dictionary<string, double> ToValues()
    {
        var values = new Dictionary<string, double>
        {
            ["eval_loss"] = Loss,
            ["eval_ce"] = Ce,
            ["eval_top1"] = Top1,
        };
        if (!double.IsNaN(Kl))
        {
            values["eval_kl"] = Kl;
        }

        return values;
    }
}

using TraceDistill.Models;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Head;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>A lane of a training of classifiers: a pass is through one task's model, and what tasks share adds up by itself.</summary>
sealed class LabelLane : ILane
{
    readonly Decoder[] _models;

    /// <param name="tasks">The tasks' models.</param>
    /// <param name="rounded">Their matrices in bfloat16; null where products are in float32.</param>
    /// <param name="gradientCheckpointing">As <see cref="Decoder"/> has it.</param>
    /// <param name="activations">Dtype between products.</param>
    public LabelLane(TaskParameters tasks, RoundedMatrices? rounded, bool gradientCheckpointing, ScalarType activations)
    {
        Gradient = new FloatBuffer(tasks.Count, tasks.Device);
        _models =
        [
            .. tasks.Models.Select(model => new Decoder(TrainedWeights.All(model), Gradient, rounded, gradientCheckpointing, activations)),
        ];
    }

    public FloatBuffer Gradient { get; }

    public FloatBuffer? AuxiliaryGradient => null;

    public LossTotals Totals { get; private set; } = new(0, [], 0, 0);

    public void Run(IReadOnlyList<TraceTokens> all, IReadOnlyList<IReadOnlyList<int>> pieces, StepObjectives objectives, UpdateNoise? noise)
    {
        using var recorded = enable_grad(); // a lane may run on its caller's thread
        Gradient.Clear();
        LossTotals? sums = null;
        foreach (var piece in pieces)
        {
            using var scope = NewDisposeScope();
            var batch = LabelBatch.Of([.. piece.Select(sequence => all[sequence])]);
            var passNoise = noise is { } update ? PassNoise.Create(update, piece, batch.Tokens.Lengths) : null;
            var totals = Pass(batch, objectives, passNoise);
            sums = sums?.Plus(totals) ?? totals;
        }

        Totals = sums!;
    }

    public void Dispose()
    {
        Array.ForEach(_models, model => model.Dispose());
        Gradient.Dispose();
    }

    LossTotals Pass(LabelBatch batch, StepObjectives objectives, PassNoise? noise)
    {
        var (model, tasks) = (_models[batch.Task], objectives.Tasks!);
        var balance = model.Balance(batch.Tokens);
        var logits = model.LabelLogits(model.Forward(batch.Tokens, noise, balance: balance)); // [M, L]
        var (loss, hard, soft) = LabelLoss.Of(
            logits,
            batch.Given(logits.device),
            batch.TaughtCount == 0 ? null : batch.Taught(logits.device),
            batch.IsGiven(logits.device),
            batch.IsTaught(logits.device),
            objectives.Alpha ?? 0,
            tasks.Temperature,
            tasks.Smoothing
        );
        var factor = tasks.Factors[batch.Task];
        try
        {
            autograd.backward([loss], [full_like(loss, factor)]);
        }
        finally
        {
            // Where libtorch gives up because a function of ours has, that one's exception is the cause, and is thrown.
            CustomGradient.Finish();
        }

        var value = loss.detach().to(ScalarType.Float64).cpu().item<double>();
        var totals = new LossTotals(
            factor * value,
            [.. tasks.Names.SelectMany((name, task) => Terms(name, task == batch.Task))],
            batch.Items,
            batch.TaughtCount
        );
        return balance is null ? totals : totals.With(GradientWorkers.Router(balance, batch.Items));

        IEnumerable<TermTotal> Terms(string name, bool isHere) =>
            [
                new(name, isHere ? value : 0, isHere ? batch.Items : 0),
                new($"{name}_ce", isHere ? hard : 0, isHere ? batch.GivenCount : 0),
                new($"{name}_kd", isHere ? soft : 0, isHere ? batch.TaughtCount : 0),
            ];
    }
}

using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using static TorchSharp.torch;

namespace TraceDistill.Training;

/// <summary>Predictions of a classifier for sequences.</summary>
public static class LabelPredictions
{
    /// <summary>Log-probabilities of labels, in float32 whatever the training computes in.</summary>
    /// <param name="model">A classifier of L labels.</param>
    /// <param name="sequences">Sequences with rows; their labels are not looked at.</param>
    /// <param name="tokens">Most tokens of one forward pass, but for a longer sequence.</param>
    /// <param name="workers">Threads; the result does not depend on them.</param>
    /// <param name="cancellationToken">Stops before the next forward pass.</param>
    /// <returns>Of each sequence [M · L].</returns>
    public static float[][] Of(
        IDecoderWeights model,
        IReadOnlyList<TraceTokens> sequences,
        int tokens,
        int workers,
        CancellationToken cancellationToken = default
    )
    {
        // Of like length together: attention on a GPU takes them as one (Models.Operations.LengthGroups).
        int[] order = [.. Enumerable.Range(0, sequences.Count).OrderBy(index => sequences[index].Ids.Length)];
        var pieces = SequencePacker.Split(order, index => sequences[index].Ids.Length, tokens);
        var predicted = new float[sequences.Count][];
        var threads = model.Device.type == DeviceType.CPU ? Math.Min(workers, pieces.Count) : 1;
        new Cores(workers).Each(threads, worker =>
        {
            using var noGrad = no_grad();
            using var decoder = new Decoder(TrainedWeights.None(model));
            for (var piece = worker; piece < pieces.Count; piece += threads)
            {
                cancellationToken.ThrowIfCancellationRequested();
                Predict(decoder, pieces[piece]);
            }
        });
        return predicted;

        void Predict(Decoder decoder, IReadOnlyList<int> piece)
        {
            using var scope = NewDisposeScope();
            var batch = LabelBatch.Layout([.. piece.Select(index => sequences[index])]);
            var logits = decoder.LabelLogits(decoder.Forward(batch));
            var values = nn.functional.log_softmax(logits, 1).cpu().data<float>().ToArray();
            var (first, labels) = (0, (int)logits.shape[1]);
            foreach (var index in piece)
            {
                var count = sequences[index].Labels!.Rows.Length * labels;
                predicted[index] = values[first..(first + count)];
                first += count;
            }
        }
    }
}

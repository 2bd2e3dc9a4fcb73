using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Tests.Support;

/// <summary>A small model with grouped heads and sequences of its tokens, each with a prompt of five.</summary>
static class SampleSequences
{
    public const int Prompt = 5;

    public static readonly ModelConfiguration Shape = new()
    {
        VocabSize = 40,
        HiddenSize = 32,
        IntermediateSize = 48,
        NumHiddenLayers = 2,
        NumAttentionHeads = 2,
        NumKeyValueHeads = 1,
        HeadDim = 16,
        MaxPositionEmbeddings = 64,
        TieWordEmbeddings = false,
        InitializerRange = 0.2,
    };

    public static ModelParameters Parameters(ModelConfiguration? shape = null)
    {
        var parameters = new ModelParameters(shape ?? Shape);
        parameters.Initialize(3);
        return parameters;
    }

    /// <summary>Random tokens with three soft targets each, the drawn token the best of them.</summary>
    public static TraceTokens[] Create(int count)
    {
        var random = new Random(5);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(_ =>
                {
                    var ids = Enumerable.Range(0, random.Next(12, 30)).Select(_ => random.Next(40)).ToArray();
                    return new TraceTokens(
                        ids,
                        Prompt,
                        SoftTargetsOf(ids, row =>
                            [.. Enumerable.Range(0, 3).Select(i => ((ids[Prompt + row] + 7 * i) % 40, Math.Log(0.6 / (1 << (2 * i)))))]
                        )
                    );
                }),
        ];
    }

    /// <param name="ids">A sequence with its prompt.</param>
    /// <param name="row">The alternatives of a trained token and their log-probabilities, the best first.</param>
    public static SoftTargets SoftTargetsOf(int[] ids, Func<int, (int Id, double Logprob)[]> row)
    {
        var rows = Enumerable.Range(0, ids.Length - Prompt).Select(row).ToArray();
        return new SoftTargets
        {
            K = rows[0].Length,
            Ids = [.. rows.SelectMany(entries => entries.Select(entry => entry.Id))],
            Logprobs = [.. rows.SelectMany(entries => entries.Select(entry => (float)entry.Logprob))],
            Tail = [.. rows.Select(entries => (float)Math.Log(Math.Max(0, 1 - entries.Sum(entry => Math.Exp(entry.Logprob)))))],
        };
    }

    /// <returns>‖a − b‖ / ‖a‖.</returns>
    public static double Distance(float[] a, float[] b) =>
        Math.Sqrt(a.Zip(b, (x, y) => Math.Pow(x - y, 2)).Sum() / a.Sum(x => Math.Pow(x, 2)));
}

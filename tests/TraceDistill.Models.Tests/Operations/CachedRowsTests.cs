using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Operations;

// T = rows of a prompt, L = positions that are read, H = query heads, G = key heads, d = channels of a head

/// <summary>Counts what the whole process holds, so nothing else may run beside it.</summary>
[CollectionDefinition(nameof(CachedRowsTests), DisableParallelization = true)]
[Collection(nameof(CachedRowsTests))]
[Trait("Category", "Numeric")]
public class CachedRowsTests
{
    const int Page = 64;

    static readonly ModelConfiguration Shape = new()
    {
        VocabSize = 10,
        HiddenSize = 128,
        IntermediateSize = 16,
        NumHiddenLayers = 1,
        NumAttentionHeads = 16,
        NumKeyValueHeads = 4,
        HeadDim = 8,
        MaxPositionEmbeddings = 1 << 14,
    };

    /// <summary>
    /// A prompt's rows behind 4,000 others, beside two sequences that have one row each; so many scores that they are made in two chunks.
    /// </summary>
    [Theory]
    [InlineData(null, null)]
    [InlineData(500, null)]
    [InlineData(null, 5.0)]
    [InlineData(3_900, 5.0)]
    public void Attend_PromptOfManyScores_EqualsAttentionByAWholeMask(int? window, double? cap)
    {
        const int Past = 4_000,
            Rows = 300;
        using var scope = NewDisposeScope();
        using var pages = new KeyValuePages(Shape, 80, Page, ScalarType.Float32, TestDevice.Current);
        var random = new Generator(1);
        int[] order = [.. Enumerable.Range(0, 80).OrderBy(page => (page * 37) % 80)];
        int[] prompt = order[..70],
            other = order[70..72],
            another = order[72..75];
        foreach (var memory in new[] { pages.Keys[0], pages.Values[0] })
        {
            memory.copy_(randn(memory.shape, generator: random));
        }

        CachedRow[] all =
        [
            new(7, 100, other),
            .. Enumerable.Range(Past, Rows).Select(position => new CachedRow(3, position, prompt)),
            new(5, 150, another),
        ];
        using var rows = new CachedRows(pages, all);
        var queries = randn([all.Length, 16, 8], generator: random) * 2;

        var attended = rows.Attend(0, queries.to(TestDevice.Current), window, cap);

        Close(prompt, Past, Rows, first: 1);
        Close(other, 100, 1, first: 0);
        Close(another, 150, 1, first: all.Length - 1);

        void Close(int[] sequencePages, int position, int count, int first)
        {
            using var sequence = NewDisposeScope();
            var length = position + count;
            var (keys, values) = (Memory(pages.Keys[0]), Memory(pages.Values[0])); // [L, G, d]
            var distance = arange(position, length).unsqueeze(1) - arange(length).unsqueeze(0);
            var hidden = distance.lt(0).logical_or(distance.ge(window ?? int.MaxValue));
            for (var head = 0; head < 16; head++)
            {
                using var one = NewDisposeScope();
                var q = queries.narrow(0, first, count).select(1, head).to(ScalarType.Float64);
                var scores = q.matmul(keys.select(1, head / 4).t()) / Math.Sqrt(8);
                scores = cap is { } c ? (scores / c).tanh() * c : scores;
                var expected = where(hidden, full_like(scores, -1e300), scores).softmax(-1).matmul(values.select(1, head / 4));
                Rounding.Close(expected, attended.narrow(0, first, count).narrow(1, head * 8, 8), Rounding.Of(length));
            }

            Tensor Memory(Tensor memory) =>
                memory
                    .cpu()
                    .index_select(0, tensor(sequencePages.Select(page => (long)page).ToArray()))
                    .reshape(-1, 4, 8)
                    .narrow(0, 0, length)
                    .to(ScalarType.Float64);
        }
    }

    /// <summary>
    /// 1,024 rows, 16,384 keys, four heads: scores would take 268 MB at once, and several times as much with a cap.
    /// On a GPU, whose memory cannot be measured from here, as many as no GPU holds at once: 275 GB.
    /// </summary>
    [Theory]
    [InlineData(null)]
    [InlineData(5.0)]
    public void Attend_LongPrompt_TakesMemoryOfOneChunk(double? cap)
    {
        var isOnCpu = TestDevice.Current.type == DeviceType.CPU;
        var (length, count) = isOnCpu ? (1 << 14, 1 << 10) : (1 << 18, 1 << 16);
        var shape = Shape with { NumAttentionHeads = 4, NumKeyValueHeads = 1 };
        using var scope = NewDisposeScope();
        using var pages = new KeyValuePages(shape, length / Page, Page, ScalarType.Float32, TestDevice.Current);
        int[] mine = [.. Enumerable.Range(0, length / Page)];
        using var rows = new CachedRows(
            pages,
            [.. Enumerable.Range(length - count, count).Select(position => new CachedRow(0, position, mine))]
        );
        var queries = randn([count, 4, 8], generator: new Generator(1)).to(TestDevice.Current);
        var before = ProcessMemory.Resident();
        using var peak = new PeakMemory();

        var attended = rows.Attend(0, queries, window: null, cap);

        Assert.Equal([count, 32], attended.shape);
        if (isOnCpu)
        {
            // Scores and probabilities of the whole prompt would be 512 MiB; what the process freed before comes and goes.
            Assert.InRange(peak.Bytes - before, 0, 448L << 20);
        }
    }
}

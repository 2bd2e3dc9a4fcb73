using TraceDistill.Data.Shards;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Alignment;
using Xunit;

namespace TraceDistill.Training.Tests.Alignment;

public sealed class EncodedSoftTargetsTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    [Theory]
    [InlineData(SoftTargetLayout.Compact, null, null)]
    [InlineData(SoftTargetLayout.Compact, 5, 7)]
    [InlineData(SoftTargetLayout.Plain, 5, null)]
    public async Task Read_TracesOfAShard_GivesTheBitsThatTheShardGave(SoftTargetLayout layout, int? k, int? end)
    {
        await SampleTraces.WriteAsync(
            _directory.Path,
            [SampleTraces.Create(1), SampleTraces.Create(2)],
            new ShardWriterOptions { Layout = layout }
        );

        foreach (var trace in await SampleTraces.ReadAsync(_directory.Path))
        {
            const int Vocabulary = 150; // of the 200 that the traces have
            var source = EncodedSoftTargets.From(
                trace.Logprobs!,
                new SoftTargetChanges
                {
                    K = k,
                    VocabularySize = Vocabulary,
                    End = end ?? -1,
                    EndFollows = end is not null,
                }
            );
            var (expected, actual) = (SoftTargets.From(trace.Logprobs!, k, Vocabulary), source.Read());
            expected = end is { } id ? expected.WithCertain(id) : expected;

            Assert.Equal(layout == SoftTargetLayout.Compact, source is EncodedSoftTargets);
            Assert.Equal(expected.K, actual.K);
            Assert.Equal(expected.Ids, actual.Ids);
            Assert.Equal(expected.Logprobs, actual.Logprobs);
            Assert.Equal(expected.Tail, actual.Tail);
        }
    }

    public void Dispose() => _directory.Dispose();
}

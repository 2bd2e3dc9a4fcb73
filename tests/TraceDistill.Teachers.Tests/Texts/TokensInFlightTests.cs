using System.Threading.Channels;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Texts;
using Xunit;

namespace TraceDistill.Teachers.Tests.Texts;

public sealed class TokensInFlightTests
{
    readonly HeldScorer _held = new();

    [Fact]
    public async Task ScoreAsync_TextsTogetherLongerThanTheMost_WaitTheirTurn()
    {
        var scorer = new TokensInFlight(_held, most: 10);
        var texts = new[] { 4, 6, 1, 5 }.Select(tokens => scorer.ScoreAsync(Text(tokens), TestTeacher.Token)).ToList();

        Assert.Equal([4, 6], _held.Begun);
        _held.End(4);
        await texts[0];
        await _held.BegunAsync(3);

        // The third, and behind it the fourth has no room yet.
        Assert.Equal([4, 6, 1], _held.Begun);
        _held.End(6);
        await _held.BegunAsync(4);
        _held.End(1);
        _held.End(5);
        await Task.WhenAll(texts);
    }

    [Fact]
    public async Task ScoreAsync_TextLongerThanTheMost_GoesAlone()
    {
        var scorer = new TokensInFlight(_held, most: 10);
        var texts = new[] { 25, 1 }.Select(tokens => scorer.ScoreAsync(Text(tokens), TestTeacher.Token)).ToList();

        Assert.Equal([25], _held.Begun);
        _held.End(25);
        await _held.BegunAsync(2);
        _held.End(1);
        await Task.WhenAll(texts);
    }

    [Fact]
    public async Task ScoreAsync_CancelledWhileItWaits_LeavesItsPlaceToTheNext()
    {
        var scorer = new TokensInFlight(_held, most: 10);
        using var cancel = new CancellationTokenSource();
        var first = scorer.ScoreAsync(Text(8), TestTeacher.Token);
        var cancelled = scorer.ScoreAsync(Text(9), cancel.Token);
        var last = scorer.ScoreAsync(Text(2), TestTeacher.Token);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        await _held.BegunAsync(2);
        Assert.Equal([8, 2], _held.Begun);
        _held.End(8);
        _held.End(2);
        await Task.WhenAll(first, last);
    }

    static ScoringRequest Text(int tokens) => new("a", new int[tokens], First: 1, TopLogprobs: 1);

    /// <summary>Scores nothing before it is told to.</summary>
    sealed class HeldScorer : ITokenScorer
    {
        readonly Lock _lock = new();
        readonly Dictionary<int, TaskCompletionSource<TokenLogprobs>> _texts = [];
        readonly List<int> _begun = [];
        readonly Channel<int> _changed = Channel.CreateUnbounded<int>();

        public IReadOnlyList<int> Begun
        {
            get
            {
                lock (_lock)
                {
                    return [.. _begun];
                }
            }
        }

        public async Task BegunAsync(int count)
        {
            while (Begun.Count < count)
            {
                await _changed.Reader.ReadAsync(TestTeacher.Token);
            }
        }

        public bool End(int tokens) => Of(tokens).TrySetResult(null!);

        public Task<TokenLogprobs> ScoreAsync(ScoringRequest request, CancellationToken cancellationToken = default)
        {
            lock (_lock)
            {
                _begun.Add(request.Tokens.Length);
            }

            _changed.Writer.TryWrite(request.Tokens.Length);
            return Of(request.Tokens.Length).Task;
        }

        TaskCompletionSource<TokenLogprobs> Of(int tokens)
        {
            lock (_lock)
            {
                return _texts.TryGetValue(tokens, out var known)
                    ? known
                    : _texts[tokens] = new TaskCompletionSource<TokenLogprobs>(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }
}

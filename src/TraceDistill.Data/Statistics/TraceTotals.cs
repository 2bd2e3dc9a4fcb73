using System.Runtime.InteropServices;
using TraceDistill.Data.Traces;

namespace TraceDistill.Data.Statistics;

/// <summary>Adds traces up, one at a time, into <see cref="TraceStatistics"/>.</summary>
sealed class TraceTotals
{
    readonly Dictionary<int, long> _completionLengths = [];
    readonly Dictionary<int, long> _promptLengths = [];
    readonly SortedDictionary<string, long> _verdicts = new(StringComparer.Ordinal);
    readonly SortedDictionary<string, long> _finishReasons = new(StringComparer.Ordinal);
    readonly SortedDictionary<string, SourceStatistics> _sources = new(StringComparer.Ordinal);
    long _count;
    long _tokens;
    long _rows;
    double _mass;
    double _entropy;

    public void Add(Trace trace)
    {
        var tokens = trace.Logprobs?.Count ?? trace.CompletionTokens;
        _count++;
        _tokens += tokens;
        CollectionsMarshal.GetValueRefOrAddDefault(_completionLengths, tokens, out _)++;
        CollectionsMarshal.GetValueRefOrAddDefault(_promptLengths, trace.PromptTokens, out _)++;
        _verdicts[trace.Verdict] = _verdicts.GetValueOrDefault(trace.Verdict) + 1;
        _finishReasons[trace.FinishReason] = _finishReasons.GetValueOrDefault(trace.FinishReason) + 1;
        var source = _sources.GetValueOrDefault(trace.Source) ?? new SourceStatistics(0, 0, 0);
        _sources[trace.Source] = new SourceStatistics(
            source.Count + 1,
            source.Tokens + tokens,
            source.Correct + (trace.Verdict == "correct" ? 1 : 0)
        );
        if (trace.Logprobs is { K: > 0 } logprobs)
        {
            AddSoftTargets(logprobs.TopLogprobs, logprobs.K);
        }
    }

    public TraceStatistics Summarize(long bytes, int topK) =>
        new()
        {
            Count = _count,
            Tokens = _tokens,
            Bytes = bytes,
            TopK = topK,
            CompletionLengths = LengthDistribution.Create(_completionLengths),
            PromptLengths = LengthDistribution.Create(_promptLengths),
            Verdicts = _verdicts,
            FinishReasons = _finishReasons,
            Sources = _sources,
            CapturedMass = _rows == 0 ? null : _mass / _rows,
            Entropy = _rows == 0 ? null : _entropy / _rows,
        };

    void AddSoftTargets(ReadOnlySpan<float> logprobs, int k)
    {
        for (var row = 0; row < logprobs.Length; row += k)
        {
            double mass = 0;
            double entropy = 0;
            foreach (var logprob in logprobs.Slice(row, k))
            {
                // Filling is −∞, and 0·(−∞) is not a number.
                var probability = Math.Exp(logprob);
                mass += probability;
                entropy -= probability > 0 ? probability * logprob : 0;
            }

            var tail = 1 - mass;
            _mass += Math.Min(mass, 1);
            _entropy += entropy - (tail > 0 ? tail * Math.Log(tail) : 0);
            _rows++;
        }
    }
}

using System.Numerics.Tensors;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference.Sampling;

/// <summary>Draws tokens from logits and reports their raw log-probabilities. Holds one thread's scratch memory.</summary>
sealed class TokenSampler(int vocabulary)
{
    /// <summary>Weights are summed in blocks of this many, so that the draw touches most of them only through a vectorised sum.</summary>
    const int Block = 256;

    /// <summary>Below this temperature decoding is greedy: all that differs is overflow.</summary>
    const double Coldest = 1e-5;

    readonly float[] _weights = new float[vocabulary];
    readonly float[] _candidateWeights = new float[vocabulary];
    readonly int[] _candidates = new int[vocabulary];

    /// <summary>log Σ exp(logit): what to take from a logit to get its natural-log probability.</summary>
    public double LogNormalizer(ReadOnlySpan<float> logits)
    {
        var max = TensorPrimitives.Max(logits);
        logits.CopyTo(_weights);
        return max + Math.Log(Exponentiate(max));
    }

    /// <summary>Draws tokens with replacement from the distribution of the last <see cref="LogNormalizer"/>.</summary>
    /// <param name="random">Its first <paramref name="draws"/> numbers are used.</param>
    /// <param name="draws">Number of draws.</param>
    /// <returns>The distinct tokens with their counts, the more frequent first, of equally frequent ones the lower id.</returns>
    public IEnumerable<(int Token, int Count)> DrawMany(SampleStream random, int draws)
    {
        var total = 0.0;
        for (var start = 0; start < vocabulary; start += Block)
        {
            total += TensorPrimitives.Sum<float>(_weights.AsSpan(start, int.Min(Block, vocabulary - start)));
        }

        var targets = Enumerable.Range(0, draws).Select(i => random.Uniform(i) * total).Order().ToArray();
        var drawn = new int[draws];
        var (done, passed) = (0, 0.0);
        for (var start = 0; done < draws && start < vocabulary; start += Block)
        {
            var block = _weights.AsSpan(start, int.Min(Block, vocabulary - start));
            var end = passed + TensorPrimitives.Sum<float>(block);
            if (end <= targets[done])
            {
                passed = end;
                continue;
            }

            for (var i = 0; i < block.Length; i++)
            {
                passed += block[i];
                while (done < draws && targets[done] < passed)
                {
                    drawn[done++] = start + i;
                }
            }
        }

        drawn.AsSpan(done).Fill(TensorPrimitives.IndexOfMax<float>(_weights)); // Rounding left a remainder past the last weight.
        return drawn
            .CountBy(token => token)
            .Select(pair => (pair.Key, pair.Value))
            .OrderByDescending(pair => pair.Value)
            .ThenBy(pair => pair.Key);
    }

    /// <summary>Draws one token: temperature first, then top-k, then top-p, as transformers and vLLM do.</summary>
    /// <param name="logits">[V]</param>
    /// <param name="uniform">A number in [0, 1).</param>
    public int Sample(ReadOnlySpan<float> logits, SequenceRequest request, double uniform)
    {
        if (request.Temperature < Coldest)
        {
            return TensorPrimitives.IndexOfMax(logits);
        }

        TensorPrimitives.Multiply(logits, (float)(1 / request.Temperature), _weights);
        var total = Exponentiate(TensorPrimitives.Max<float>(_weights));
        if (request.TopK > 0 && request.TopK < vocabulary)
        {
            var kept = TopSelection.Select(_weights, _candidates.AsSpan(0, request.TopK), _candidateWeights.AsSpan(0, request.TopK));
            var mass = TensorPrimitives.Sum<float>(_candidateWeights.AsSpan(0, kept));
            return DrawCandidate(Nucleus(kept, request.TopP * mass), uniform);
        }

        return request.TopP < 1 ? DrawNucleus(request.TopP, total, uniform) : Draw(uniform * total);
    }

    /// <summary>weight ← exp(weight − max): the largest is 1, so nothing overflows.</summary>
    /// <returns>Their sum; double precision between blocks keeps it exact enough for any vocabulary.</returns>
    double Exponentiate(float max)
    {
        var total = 0.0;
        for (var start = 0; start < vocabulary; start += Block)
        {
            total += SimdMath.ExpShifted(_weights.AsSpan(start, int.Min(Block, vocabulary - start)), max);
        }

        return total;
    }

    /// <summary>The token at <paramref name="left"/> along the line of all weights.</summary>
    int Draw(double left)
    {
        for (var start = 0; start < vocabulary; start += Block)
        {
            var block = _weights.AsSpan(start, int.Min(Block, vocabulary - start));
            var sum = (double)TensorPrimitives.Sum<float>(block);
            if (left >= sum)
            {
                left -= sum;
                continue;
            }

            for (var i = 0; i < block.Length; i++)
            {
                left -= block[i];
                if (left < 0)
                {
                    return start + i;
                }
            }
        }

        return TensorPrimitives.IndexOfMax<float>(_weights); // Rounding left a remainder past the last weight.
    }

    int DrawNucleus(double topP, double total, double uniform) =>
        DrawCandidate(Nucleus(SortCandidates(float.Min((float)((1 - topP) / vocabulary * total), 1)), topP * total), uniform);

    /// <summary>
    /// Tokens at least as heavy as <paramref name="least"/>, by descending weight. All tokens of
    /// less than (1 − p) / V together hold less than 1 − p, so the others hold the nucleus, and
    /// the long tail need not be sorted. The heaviest token, of weight 1, is always among them.
    /// </summary>
    int SortCandidates(float least)
    {
        var count = 0;
        for (var i = 0; i < vocabulary; i++)
        {
            if (_weights[i] >= least)
            {
                _candidates[count] = i;
                _candidateWeights[count++] = -_weights[i];
            }
        }

        var weights = _candidateWeights.AsSpan(0, count);
        weights.Sort(_candidates.AsSpan(0, count));
        TensorPrimitives.Negate(weights, weights);
        return count;
    }

    /// <summary>The smallest number of leading candidates that hold <paramref name="mass"/>; at least one.</summary>
    int Nucleus(int count, double mass)
    {
        var kept = 0;
        for (var sum = 0.0; kept < count && (kept == 0 || sum < mass); kept++)
        {
            sum += _candidateWeights[kept];
        }

        return kept;
    }

    int DrawCandidate(int count, double uniform)
    {
        var left = uniform * TensorPrimitives.Sum<float>(_candidateWeights.AsSpan(0, count));
        for (var i = 0; i < count; i++)
        {
            left -= _candidateWeights[i];
            if (left < 0)
            {
                return _candidates[i];
            }
        }

        return _candidates[0]; // Rounding left a remainder past the last weight.
    }
}

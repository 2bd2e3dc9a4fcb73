using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;

namespace TraceDistill.Teachers.Probe;

/// <summary>Tells logprobs that a model computed from ones that a server made up.</summary>
static class LogprobCheck
{
    // Room for rounding in half precision, summed over some twenty alternatives.
    const double Tolerance = 0.01;

    /// <summary>
    /// Rows in which the numbers deny each other, of all: none of a server that computes them, but for a slip of arithmetic.
    /// </summary>
    const double MostContradictory = 0.02;

    /// <summary>Rows with one token of probability 1 and nothing else, of all, where every token has a probability.</summary>
    const double MostCertain = 0.1;

    /// <summary>Below it, one alternative has it all in logprobs that follow the temperature.</summary>
    const double LeastTemperature = 0.1;

    /// <summary>Standard deviations that chance does not reach over any number of answers.</summary>
    const double MostDeviation = 6;

    /// <summary>Looks at the logprobs of a text that was scored, of which no token was drawn.</summary>
    /// <inheritdoc cref="Problem(TokenLogprobs, SamplingSettings)"/>
    /// <param name="request">What was asked for.</param>
    public static string? Problem(TokenLogprobs logprobs, ScoringRequest request) =>
        // Probability is a temperature's and a filter's only where tokens are drawn.
        Problem(
            logprobs,
            new SamplingSettings
            {
                Temperature = 0,
                TopLogprobs = request.TopLogprobs,
                DrawsAlternatives = request.DrawSeed is not null,
            }
        );

    /// <summary>The fault of a server that gives no draws, as the rest of a sentence that its name begins.</summary>
    public static string DrawsNotKnown(int draws) =>
        $"does not know sampled_logprobs (it gives no {draws} draws for each token); "
        + "use tracedistill serve, or take the likeliest alternatives with --top-logprobs";

    /// <summary>Looks at an answer's logprobs with statistics that cost little beside reading them.</summary>
    /// <param name="logprobs">Of one answer.</param>
    /// <param name="sampling">Sampling settings of the request.</param>
    /// <returns>The server's fault, or null where nothing is wrong.</returns>
    public static string? Problem(TokenLogprobs logprobs, SamplingSettings sampling)
    {
        if (logprobs.Count == 0)
        {
            return "returned logprobs for no token";
        }

        if (logprobs.TopIds.All(id => id < 0))
        {
            return "returned the logprob of each token but no alternatives";
        }

        if (sampling.DrawsAlternatives)
        {
            return AreDraws(logprobs, sampling.TopLogprobs)
                ? null
                : $"returned alternatives that are no counts of {sampling.TopLogprobs} draws";
        }

        var rows = Enumerable.Range(0, logprobs.Count).Select(t => new Row(logprobs, t)).ToArray();
        var over = rows.Where(row => row.Mass > 1 + Tolerance).ToList();
        if (over.Count > MostContradictory * rows.Length)
        {
            return $"returned alternatives whose probabilities add up to {over[0].Mass:0.###}";
        }

        var contradictory = rows.Where(row => row.IsContradictory).ToList();
        if (contradictory.Count > MostContradictory * rows.Length)
        {
            return $"returned a drawn token of probability {contradictory[0].Drawn:0.###} that its own alternatives contradict";
        }

        var certain = rows.Count(row => row.IsCertain);
        var drawsFromAll = DrawsFromAll(sampling);
        return certain == rows.Length || (drawsFromAll && logprobs.K > 1 && certain > 2 && certain > MostCertain * rows.Length)
                ? $"returned made-up logprobs (0 for {certain} of {rows.Length} tokens, nothing for any other)"
            : Repeats(logprobs) ? "returned the same alternatives for one token after the other"
            : drawsFromAll && sampling.Temperature <= 1 && Misses(rows) ? "returned alternatives that are not those of the tokens drawn"
            : null;
    }

    /// <summary>Returns whether the alternatives of each token have whole counts, and together as many as were drawn.</summary>
    static bool AreDraws(TokenLogprobs logprobs, int draws)
    {
        // Of a count: far above float32's rounding, and far below what two counts differ by.
        const double tolerance = 1e-3;
        return logprobs
            .TopLogprobs.Select(logprob => draws * Math.Exp(logprob))
            .Chunk(logprobs.K)
            .All(row => Math.Abs(row.Sum() - draws) < tolerance && row.All(count => Math.Abs(count - Math.Round(count)) < tolerance));
    }

    /// <summary>Returns whether nothing but the temperature stands between the model's distribution and the token drawn.</summary>
    static bool DrawsFromAll(SamplingSettings sampling)
    {
        const string Harmless = "chat_template_kwargs";
        if (sampling.Temperature < LeastTemperature || sampling.TopP < 1)
        {
            return false;
        }

        using var extra = sampling.ExtraBody is { } text ? JsonDocument.Parse(text) : null;
        return extra is null || extra.RootElement.EnumerateObject().All(field => field.Name == Harmless);
    }

    /// <summary>
    /// Returns whether most rows are the row before to the last bit though another token was drawn. In a loop of equal tokens a model may
    /// come to that, and between
    /// different ones it does not.
    /// </summary>
    static bool Repeats(TokenLogprobs logprobs)
    {
        const int Least = 8;
        var (compared, same) = (0, 0);
        for (var t = 1; t < logprobs.Count; t++)
        {
            var (now, before) = (t * logprobs.K, (t - 1) * logprobs.K);
            if (logprobs.TokenIds[t] != logprobs.TokenIds[t - 1] && logprobs.K > 1 && logprobs.TopIds[now + 1] >= 0)
            {
                compared++;
                same +=
                    logprobs.TopIds.AsSpan(now, logprobs.K).SequenceEqual(logprobs.TopIds.AsSpan(before, logprobs.K))
                    && logprobs.TopLogprobs.AsSpan(now, logprobs.K).SequenceEqual(logprobs.TopLogprobs.AsSpan(before, logprobs.K))
                        ? 1
                        : 0;
            }
        }

        return compared >= Least && 2 * same > compared;
    }

    /// <summary>
    /// Returns whether the likeliest token was drawn much less often than its probabilities say, as where each row is the row of another
    /// token. A temperature below 1
    /// draws it more often, so that this is no alarm for it.
    /// </summary>
    static bool Misses(Row[] rows)
    {
        const double Least = 8;
        var expected = rows.Sum(row => row.Best);
        var hits = rows.Count(row => row.DrewBest);
        return expected >= Least
            && hits < expected / 2
            && hits < expected - (MostDeviation * Math.Sqrt(1 + rows.Sum(row => row.Best * (1 - row.Best))));
    }

    /// <summary>
    /// Finds out whether logprobs follow the temperature: the first token's at temperature 1 beside those at another. How much less likely
    /// than the best an
    /// alternative is, as a logarithm, stays as it is in raw logprobs and is divided by the
    /// temperature in processed ones, however sure the model is.
    /// </summary>
    /// <param name="plain">At temperature 1.</param>
    /// <param name="other">At <paramref name="temperature"/>.</param>
    /// <param name="temperature">Below 1.</param>
    /// <returns>Null where the alternatives are too few, or too much alike, to tell.</returns>
    public static LogprobKind? KindOf(TokenLogprobs plain, TokenLogprobs other, double temperature)
    {
        // A logit from 16 to 32 is rounded to eighths in bfloat16: differences below that say little.
        const double Least = 0.5;
        var (before, after) = (0.0, 0.0);
        var best = At(0);
        for (var i = 1; best >= 0 && i < plain.K && plain.TopIds[i] >= 0; i++)
        {
            var distance = plain.TopLogprobs[0] - plain.TopLogprobs[i];
            if (distance < Least)
            {
                continue;
            }

            if (At(i) is var at && at < 0)
            {
                // It fell out of the list, or to a probability of nothing: its place was not taken by rounding.
                return distance < -Math.Log(Tolerance) ? LogprobKind.Processed : KindOf();
            }

            (before, after) = (before + distance, after + other.TopLogprobs[best] - other.TopLogprobs[at]);
        }

        return KindOf();

        LogprobKind? KindOf() =>
            before == 0 ? null
            : after / before < Math.Sqrt(1 / temperature) ? LogprobKind.Raw
            : LogprobKind.Processed;

        // Ids that stand for bytes are numbered anew in each response: there, ranks are compared.
        int At(int rank) =>
            plain.TokenBytes is null ? other.TopIds.AsSpan(0, other.K).IndexOf(plain.TopIds[rank])
            : rank < other.K && other.TopIds[rank] >= 0 ? rank
            : -1;
    }

    /// <summary>Most alternatives that any token has.</summary>
    public static int MostAlternatives(TokenLogprobs logprobs) => logprobs.TopIds.Chunk(logprobs.K).Max(row => row.Count(id => id >= 0));

    /// <summary>Figures of one row.</summary>
    readonly record struct Row
    {
        public Row(TokenLogprobs logprobs, int t)
        {
            var ids = logprobs.TopIds.AsSpan(t * logprobs.K, logprobs.K);
            var values = logprobs.TopLogprobs.AsSpan(t * logprobs.K, logprobs.K);
            var listed = ids.IndexOf(-1) is >= 0 and var end ? end : ids.Length;
            for (var i = 0; i < listed; i++)
            {
                Mass += MathF.Exp(values[i]);
            }

            var at = ids[..listed].IndexOf(logprobs.TokenIds[t]);
            Drawn = Math.Exp(logprobs.Logprobs[t]);
            Best = listed == 0 ? 0 : Math.Exp(values[0]);
            DrewBest = at == 0 || (at > 0 && values[at] == values[0]);
            IsCertain = logprobs.Logprobs[t] == 0 && (listed == 0 || (listed == 1 && values[0] == 0));

            // A row of fewer than k may lack any token but the likeliest.
            IsContradictory =
                at >= 0 ? Math.Abs(Math.Exp(values[at]) - Drawn) > Tolerance
                : listed == ids.Length ? Drawn > Math.Exp(values[^1]) + Tolerance
                : listed > 0 && (Drawn > Best + Tolerance || Mass + Drawn > 1 + Tolerance);
        }

        /// <summary>Probabilities of the alternatives together.</summary>
        public double Mass { get; }

        /// <summary>Probability of the token drawn.</summary>
        public double Drawn { get; }

        /// <summary>Probability of the likeliest token.</summary>
        public double Best { get; }

        /// <summary>True where that one was drawn.</summary>
        public bool DrewBest { get; }

        /// <summary>
        /// True where one token has it all and no other is listed; a model that is sure of a token has others far below it.
        /// </summary>
        public bool IsCertain { get; }

        /// <summary>
        /// True where the drawn token has another probability among the alternatives, or is likelier than those that it would then stand
        /// among.
        /// </summary>
        public bool IsContradictory { get; }
    }
}

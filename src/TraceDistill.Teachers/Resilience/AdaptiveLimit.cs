namespace TraceDistill.Teachers.Resilience;

/// <summary>
/// Limit of the requests that one endpoint is given at a time: found by additive increase and multiplicative decrease, between 1 and a
/// ceiling.
/// </summary>
/// <remarks>
/// Works in rounds: as many requests as the limit allows, all sent since it was last changed. At first each good round doubles the
/// limit, as TCP's slow start does; after the first setback a good round adds a twentieth. A round is good where the server made
/// more of it: with a limit raised by a half or more, throughput has to have risen by three tenths of that at least, or the requests
/// only waited in the server's own queue, which shows as time per token. Such a raise is taken back, and the next one is tried after
/// some rounds of rest. Refusals for overload cut the limit at once, and so do attempts that took too long where a twentieth of a
/// round did, two at least; several requests that were sent before the cut count as the one event they are. Not thread-safe.
/// </remarks>
sealed class AdaptiveLimit
{
    const int MostAtFirst = 64;
    const double CutTo = 0.7;
    const int Fraction = 20;
    const double ComparedGrowth = 1.5;
    const double LeastGain = 0.3;
    const double MostSlowdown = 0.25;
    const int RoundsOfRest = 10;

    readonly int _ceiling;
    bool _isStarting = true;
    int _rest;
    TimeSpan _cutAt;
    Round _round = new(TimeSpan.Zero);
    (int Limit, double TokensPerSecond, double SecondsPerToken)? _reference;

    /// <param name="ceiling">Most requests at a time.</param>
    public AdaptiveLimit(int ceiling)
    {
        _ceiling = ceiling;
        Current = Math.Min(ceiling, MostAtFirst);
    }

    /// <summary>Requests that may be in flight now.</summary>
    public int Current { get; private set; }

    /// <summary>A request was answered.</summary>
    /// <param name="sent">When it was sent.</param>
    /// <param name="now">The same clock, now.</param>
    /// <param name="tokens">Tokens generated.</param>
    /// <param name="inFlight">Requests in flight, this one included.</param>
    public void Answered(TimeSpan sent, TimeSpan now, int tokens, int inFlight)
    {
        _round.Tokens += tokens;
        _round.IsFull |= inFlight >= Current;
        if (sent < _round.Start)
        {
            return;
        }

        _round.Count++;
        _round.OwnTokens += tokens;
        _round.Busy += now - sent;
        if (_round.Count >= Current && now > _round.Start)
        {
            EndRound(now);
        }
    }

    /// <summary>A request took too long. One alone may have hung for a reason of its own.</summary>
    public void TimedOut(TimeSpan sent, TimeSpan now)
    {
        if (sent >= _cutAt && ++_round.TimedOut >= Math.Max(2, Current / Fraction))
        {
            Overloaded(sent, now);
        }
    }

    /// <summary>A request was refused because the server has too much to do.</summary>
    public void Overloaded(TimeSpan sent, TimeSpan now)
    {
        if (sent >= _cutAt)
        {
            _reference = null;
            _rest = 0;
            _cutAt = now;
            SetBack(Math.Max(1, (int)(Current * CutTo)), now);
        }
    }

    void EndRound(TimeSpan now)
    {
        var measured = (
            Limit: Current,
            TokensPerSecond: _round.Tokens / (now - _round.Start).TotalSeconds,
            SecondsPerToken: _round.Busy.TotalSeconds / Math.Max(1, _round.OwnTokens)
        );
        if (!_round.IsFull)
        {
            // Nothing was held back by the limit, so there is nothing to learn about it.
            _round = new Round(now);
        }
        else if (_reference is { } reference && measured.Limit >= ComparedGrowth * reference.Limit && IsWasted(reference, measured))
        {
            _rest = RoundsOfRest;
            SetBack(reference.Limit, now);
        }
        else
        {
            if (_reference is not { } last || measured.Limit <= last.Limit || measured.Limit >= ComparedGrowth * last.Limit)
            {
                _reference = measured;
            }

            Change(_rest > 0 ? Current : Math.Min(_ceiling, _isStarting ? 2 * Current : Current + Math.Max(1, Current / Fraction)), now);
            _rest = Math.Max(0, _rest - 1);
        }
    }

    void SetBack(int limit, TimeSpan now)
    {
        _isStarting = false;
        Change(limit, now);
    }

    static bool IsWasted(
        (int Limit, double TokensPerSecond, double SecondsPerToken) before,
        (int Limit, double TokensPerSecond, double SecondsPerToken) after
    )
    {
        var growth = ((double)after.Limit / before.Limit) - 1;
        return after.TokensPerSecond < before.TokensPerSecond * (1 + (LeastGain * growth))
            && after.SecondsPerToken > before.SecondsPerToken * (1 + (MostSlowdown * growth));
    }

    void Change(int limit, TimeSpan now)
    {
        Current = limit;
        _round = new Round(now);
    }

    struct Round(TimeSpan start)
    {
        public TimeSpan Start { get; } = start;

        /// <summary>Requests sent and answered in the round.</summary>
        public int Count;

        /// <summary>Tokens of all answers that came in the round.</summary>
        public long Tokens;

        /// <summary>Of those that were also sent in it.</summary>
        public long OwnTokens;

        public TimeSpan Busy;

        public int TimedOut;

        public bool IsFull;
    }
}

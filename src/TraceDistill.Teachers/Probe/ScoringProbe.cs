using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Scoring;

namespace TraceDistill.Teachers.Probe;

/// <summary>
/// Finds out how an endpoint scores text: in the ways that its kind of server may know, one after the other, each with a short text whose
/// tokens have to come back as they were sent.
/// </summary>
sealed class ScoringProbe(TeacherClient client, ProbeTraffic traffic, TimeProvider time, Func<double> random)
{
    readonly ProbeAttempts _attempts = new(client.Endpoint, time, random);

    /// <param name="request">A short text, with as many alternatives as the run asks for.</param>
    /// <param name="cancellationToken">Ends the probe.</param>
    /// <returns>The endpoint's capabilities. The client scores in the way that was found from then on.</returns>
    /// <exception cref="TeacherUnavailableException">It scores no text, or not the text that it is sent; the message says why.</exception>
    public async Task<TeacherCapabilities> RunAsync(ScoringRequest request, CancellationToken cancellationToken)
    {
        var dialect = await _attempts.NeedAsync(token => client.DialectAsync(token).AsTask(), models: null, cancellationToken);
        var models = await _attempts.NeedAsync(client.ListModelsAsync, models: null, cancellationToken);
        var refusals = new List<(ScoringWay Way, TeacherRequestException Failure)>();
        foreach (var likely in ScoringWay.Of(dialect).Where(way => !way.SendsText || client.Tokens.Tokenizer is not null))
        {
            for (var way = likely; ; way = way with { LeavesOutFirst = true })
            {
                var (scored, refusal) = await TryAsync(way, request, models, cancellationToken);
                if (scored is null)
                {
                    if (!way.LeavesOutFirst && refusal!.InnerException is ScoreMisalignedException added && IsOurFirst(added, request))
                    {
                        continue;
                    }

                    if (refusal!.IsAboutLogprobs && request is { DrawSeed: null, TopLogprobs: > 1 })
                    {
                        await EnsureGrantedAsync(way, request, refusal, models, cancellationToken);
                    }

                    refusals.Add((way, refusal));
                    break;
                }

                if (LogprobCheck.Problem(scored.Logprobs, request) is { } problem)
                {
                    throw new TeacherUnavailableException(
                        request.DrawSeed is null
                            ? $"{client.Endpoint} {problem}; use a server that returns real logprobs"
                            : $"{client.Endpoint} {LogprobCheck.DrawsNotKnown(request.TopLogprobs)}"
                    );
                }

                client.Scoring = way;
                return new TeacherCapabilities
                {
                    Dialect = dialect.Name,
                    TokenIdentity = scored.Identity,
                    TopLogprobs = request.DrawSeed is null ? LogprobCheck.MostAlternatives(scored.Logprobs) : request.TopLogprobs,
                    Logprobs = LogprobKind.Raw,
                    PromptScoring = way.Name,
                    AddsFirstToken = way.LeavesOutFirst,
                };
            }
        }

        throw request.DrawSeed is not null && refusals.Find(refusal => refusal.Failure.IsAboutLogprobs).Failure is { } unknown
            ? new TeacherUnavailableException($"{client.Endpoint} {LogprobCheck.DrawsNotKnown(request.TopLogprobs)}", unknown)
            : Describe(refusals);
    }

    /// <summary>A refusal of so many alternatives is none of the way in which they are asked for.</summary>
    /// <exception cref="TeacherUnavailableException">The server scores text in this way, with fewer alternatives.</exception>
    async Task EnsureGrantedAsync(
        ScoringWay way,
        ScoringRequest request,
        TeacherRequestException refusal,
        IReadOnlyList<string>? models,
        CancellationToken cancellationToken
    )
    {
        if ((await GrantsAsync(1)).Granted == 0)
        {
            return;
        }

        var limit = await LogprobLimit.BelowAsync(request.TopLogprobs, refusal.ServerMessage, GrantsAsync);
        throw new TeacherUnavailableException(
            $"{client.Endpoint} returns at most {limit} alternatives per token of a text that it scores, not {request.TopLogprobs}; "
                + $"ask for them with --top-logprobs {limit}, or raise the server's limit (vLLM: --max-logprobs; "
                + "tracedistill serve: --max-top-logprobs)",
            refusal
        );

        async Task<(int Granted, string Refusal)> GrantsAsync(int k)
        {
            var (scored, refused) = await TryAsync(way, request with { TopLogprobs = k }, models, cancellationToken);
            return (scored is null ? 0 : k, refused?.ServerMessage ?? "");
        }
    }

    /// <summary>
    /// Returns whether the token that the server puts in front is the one that the text begins with: then the text goes without it, and the
    /// model reads what it is to read.
    /// </summary>
    bool IsOurFirst(ScoreMisalignedException added, ScoringRequest request) =>
        added.AddsFirst
        && request.First > 1
        && (added.Added >= 0 ? added.Added == request.Tokens[0] : client.Tokens.Tokenizer?.IsSpecial(request.Tokens[0]) == true);

    /// <returns>The text as it was scored, or why it was not in this way.</returns>
    /// <exception cref="TeacherUnavailableException">It cannot be in any.</exception>
    Task<(ScoredText? Scored, TeacherRequestException? Refusal)> TryAsync(
        ScoringWay way,
        ScoringRequest request,
        IReadOnlyList<string>? models,
        CancellationToken cancellationToken
    ) =>
        _attempts.NeedAsync(
            async token =>
            {
                try
                {
                    return (await traffic.ScoreAsync(request, way, token), default(TeacherRequestException));
                }
                catch (TeacherRequestException e)
                    when (e.IsMisaligned || e.IsFormat || (e.Status is 400 or 404 or 405 or 422 or 501 && _attempts.Missing(models) is null)
                    )
                {
                    return (default(ScoredText), e);
                }
            },
            models,
            cancellationToken
        );

    /// <summary>What an endpoint did with the text says more than that it does not know a way.</summary>
    TeacherUnavailableException Describe(List<(ScoringWay Way, TeacherRequestException Failure)> refusals)
    {
        var (way, failure) = refusals
            .OrderBy(refusal =>
                refusal.Failure switch
                {
                    { InnerException: ScoreMisalignedException { IsOfNothing: false } } => 0,
                    { IsAboutLogprobs: true } => 1,
                    { IsMisaligned: true } => 2,
                    _ => 3,
                }
            )
            .First();
        const string Advice = "use a server that does (vLLM, SGLang, tracedistill serve), or a model on this machine (--teacher DIR)";
        return failure.InnerException is ScoreMisalignedException { IsOfNothing: false }
            ? new TeacherUnavailableException($"{failure.Message} (asked by {way.Name})", failure)
            : new TeacherUnavailableException(
                $"{client.Endpoint} does not score text that exists (asked by "
                    + $"{string.Join(", ", refusals.Select(refusal => refusal.Way.Name).Distinct())}): {failure.Message}; {Advice}",
                failure
            );
    }
}

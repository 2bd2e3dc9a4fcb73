using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Probe;

/// <summary>Looks at an endpoint with its list of models and a few completions of a few tokens, each of the same seed.</summary>
sealed class CapabilityProbe(TeacherClient client, ProbeTraffic traffic, TimeProvider time, Func<double> random)
{
    /// <summary>The seed of every request of a probe.</summary>
    public const long Seed = 0;

    const int ProbeTokens = 16;
    const int AnswerTokens = 256;
    const double OtherTemperature = 0.5;

    static readonly ChatMessage[] Question = [new("user", "What is 12 + 34?")];
    static readonly ChatMessage[] OpenQuestion = [new("user", "Name any word.")];
    static readonly ChatMessage[] ShortAnswer = [new("user", "Reply with the word OK and nothing else.")];

    readonly ProbeAttempts _attempts = new(client.Endpoint, time, random);

    TeacherEndpoint Endpoint => client.Endpoint;

    /// <param name="sampling">The settings that the run is going to use.</param>
    /// <param name="known">
    /// Capabilities that an earlier run with these settings found; where the endpoint names tokens and
    /// grants alternatives as it did then, the rest is believed.
    /// </param>
    /// <param name="cancellationToken">Ends the probe.</param>
    /// <returns>
    /// The endpoint's capabilities; where it has no soft targets to give, the reason stands in
    /// <see cref="TeacherCapabilities.SoftTargetProblem"/>.
    /// </returns>
    /// <exception cref="TeacherUnavailableException">
    /// The endpoint cannot serve a run with these settings, not even for text alone.
    /// </exception>
    /// <exception cref="InvalidInputException">The endpoint calls the request wrong: a setting of the run is.</exception>
    public async Task<TeacherCapabilities> RunAsync(
        SamplingSettings sampling,
        TeacherCapabilities? known,
        CancellationToken cancellationToken
    )
    {
        var dialect = await _attempts.NeedAsync(token => client.DialectAsync(token).AsTask(), models: null, cancellationToken);
        var models = await _attempts.NeedAsync(client.ListModelsAsync, models: null, cancellationToken);
        var brief = sampling with { MaxTokens = Math.Min(sampling.MaxTokens, ProbeTokens), Seed = Seed };
        var (first, problem) =
            sampling.TopLogprobs == 0 ? (null, null)
            : sampling.DrawsAlternatives ? await AskForDrawsAsync(brief, cancellationToken)
            : await AskForLogprobsAsync(brief, models, cancellationToken);
        first ??= await _attempts.NeedAsync(
            token => traffic.CompleteAsync(Question, brief with { TopLogprobs = 0 }, token),
            models,
            cancellationToken
        );
        var logprobs = problem is null ? first.Logprobs : null;
        var found = new TeacherCapabilities
        {
            Dialect = dialect.Name,
            TokenIdentity = logprobs switch
            {
                null => TokenIdentity.Text,
                { TokenBytes: not null } => TokenIdentity.Bytes,
                _ => TokenIdentity.Ids,
            },
            TopLogprobs =
                logprobs is null ? 0
                : sampling.DrawsAlternatives ? sampling.TopLogprobs
                : LogprobCheck.MostAlternatives(logprobs),
            PromptTokenIds = first.PromptTokenIds is not null,
            SoftTargetProblem = problem,
        };
        await ChooseStreamAsync(found, dialect, sampling, cancellationToken);
        found =
            known is not null && found == Shown(known)
                ? known
                : await LookCloserAsync(found, dialect, sampling, brief with { MaxTokens = 1 }, cancellationToken);
        client.OpensThinking |= found.OpensThinking;
        return found with { OpensThinking = client.OpensThinking };
    }

    /// <summary>
    /// Finds out whether a streamed answer tells the logprobs of all its tokens, to the end. What looks like another server
    /// may have llama.cpp behind it, whose streams lack some; a whole answer is asked for then, unless that lacks them too.
    /// </summary>
    async Task ChooseStreamAsync(TeacherCapabilities found, Dialect dialect, SamplingSettings sampling, CancellationToken cancellationToken)
    {
        if (!Endpoint.IsStreamed || found.TopLogprobs == 0 || !dialect.StreamsLogprobs)
        {
            return;
        }

        var whole = sampling with { MaxTokens = Math.Min(sampling.MaxTokens, AnswerTokens), Seed = Seed };
        if (
            await _attempts.TryAsync(token => traffic.CompleteAsync(ShortAnswer, whole, token), cancellationToken) is
            { LogprobLack: not null }
        )
        {
            client.StreamsLogprobs = false;
            client.StreamsLogprobs =
                await _attempts.TryAsync(token => traffic.CompleteAsync(ShortAnswer, whole, token), cancellationToken)
                    is not { Logprobs: not null };
        }
    }

    /// <summary>Capabilities that one answer shows.</summary>
    static TeacherCapabilities Shown(TeacherCapabilities all) =>
        new()
        {
            Dialect = all.Dialect,
            TokenIdentity = all.TokenIdentity,
            TopLogprobs = all.TopLogprobs,
            PromptTokenIds = all.PromptTokenIds,
            SoftTargetProblem = all.SoftTargetProblem,
        };

    async Task<TeacherCapabilities> LookCloserAsync(
        TeacherCapabilities found,
        Dialect dialect,
        SamplingSettings sampling,
        SamplingSettings shortest,
        CancellationToken cancellationToken
    )
    {
        var answer = await AnswerAsync(dialect, sampling, cancellationToken);
        found = found with
        {
            Logprobs =
                found.TopLogprobs == 0 ? null
                : sampling.DrawsAlternatives ? LogprobKind.Raw
                : await KindAsync(sampling, cancellationToken),
            TopLogprobsLimit =
                found.TopLogprobs == 0 || sampling.DrawsAlternatives
                    ? null
                    : await LimitAsync(dialect, shortest, found.TopLogprobs, cancellationToken),
            ReasoningLogprobs = answer?.ReasoningLogprobs,
            EndOfSequenceLogprobs = answer?.EndOfSequenceLogprobs,
            OpensThinking = answer?.OpensThinking ?? false,
            PromptScoring = await _attempts.TryAsync(
                token => PromptScoring.FindAsync(Endpoint.Model, dialect, traffic, token),
                cancellationToken
            ),
            SeveralChoices = dialect.IsSglangGenerate
                ? null
                : await SeveralChoicesAsync(dialect, shortest with { TopLogprobs = 0 }, cancellationToken),
        };
        return sampling.TopLogprobs == 0 || found.ReasoningLogprobs != false
            ? found
            : found with
            {
                TokenIdentity = TokenIdentity.Text,
                TopLogprobs = 0,
                SoftTargetProblem =
                    $"{Endpoint} gives no logprobs for the tokens of the reasoning; take a server that does (vLLM, "
                    + "SGLang, llama.cpp, tracedistill serve), or collect text with --top-logprobs 0",
            };
    }

    /// <summary>The answer with soft targets that are drawn, or why there can be none: most servers do not know the field.</summary>
    async Task<(GenerationResult? Result, string? Problem)> AskForDrawsAsync(SamplingSettings sampling, CancellationToken cancellationToken)
    {
        var result = await _attempts.TryAsync(token => traffic.CompleteAsync(Question, sampling, token), cancellationToken);
        return result?.Logprobs is { } logprobs && LogprobCheck.Problem(logprobs, sampling) is null
            ? (result, null)
            : (null, $"{Endpoint} {LogprobCheck.DrawsNotKnown(sampling.TopLogprobs)}");
    }

    /// <summary>The answer with logprobs, or why there can be none; both where the logprobs are no good.</summary>
    async Task<(GenerationResult? Result, string? Problem)> AskForLogprobsAsync(
        SamplingSettings sampling,
        IReadOnlyList<string>? models,
        CancellationToken cancellationToken
    )
    {
        try
        {
            var result = await _attempts.NeedAsync(token => traffic.CompleteAsync(Question, sampling, token), models, cancellationToken);
            foreach (var (question, tokens) in new[] { (ShortAnswer, AnswerTokens), (OpenQuestion, ProbeTokens) })
            {
                // Of one answer, some tokens may have been parts of characters, or it was a call of a tool; not of the next.
                if (result.LogprobLack is { IsPartial: true } || (result.Logprobs is null && result.ToolCalls is not null))
                {
                    result = await _attempts.NeedAsync(
                        token => traffic.CompleteAsync(question, sampling with { MaxTokens = tokens }, token),
                        models,
                        cancellationToken
                    );
                }
            }

            return (
                result,
                result.Logprobs is { } logprobs
                    ? LogprobCheck.Problem(logprobs, sampling) is { } problem
                        ? $"{Endpoint} {problem}; use a server that returns real logprobs (vLLM, "
                            + "SGLang, llama.cpp, tracedistill serve), or collect text with --top-logprobs 0"
                        : null
                    : result.ToolCalls is not null
                        ? $"{Endpoint} answers small requests with calls of tools alone, "
                            + "which have no soft targets; collect text and calls with --top-logprobs 0"
                        : $"{Endpoint} {result.LogprobLack?.Reason ?? "returned no logprobs"}, "
                            + "which is no basis for soft targets; use a server that returns token ids or bytes (vLLM, "
                            + "SGLang, llama.cpp, tracedistill serve), or collect text with --top-logprobs 0"
            );
        }
        catch (TeacherUnavailableException e)
            when (e.InnerException is TeacherRequestException { Status: 404 } refusal
                && refusal.ServerMessage.Contains("requested parameters", StringComparison.OrdinalIgnoreCase)
            )
        {
            // OpenRouter, which is told to leave nothing out that was asked for.
            return (
                null,
                $"{Endpoint} has no provider that returns logprobs; use another model or server, or collect text with --top-logprobs 0"
            );
        }
        catch (TeacherUnavailableException e)
            when (e.InnerException is TeacherRequestException { Status: 400 or 422, IsAboutLogprobs: true } refusal)
        {
            var limit = await LogprobLimit.BelowAsync(sampling.TopLogprobs, refusal.ServerMessage, k =>
                GrantsAsync(sampling with { TopLogprobs = k, MaxTokens = 1 }, cancellationToken)
            );
            return (
                null,
                limit > 0
                    ? $"{Endpoint} returns at most {limit} alternatives per token, not {sampling.TopLogprobs}; "
                        + $"ask for them with --top-logprobs {limit}, or raise the server's limit (vLLM: --max-logprobs)"
                    : e.Message
            );
        }
    }

    /// <summary>Most alternatives granted, at least <paramref name="granted"/>; null where no limit was met.</summary>
    async Task<int?> LimitAsync(Dialect dialect, SamplingSettings sampling, int granted, CancellationToken cancellationToken) =>
        granted < sampling.TopLogprobs
            ? granted
            : dialect.MostLogprobs
                ?? await LogprobLimit.AboveAsync(granted, k => GrantsAsync(sampling with { TopLogprobs = k }, cancellationToken));

    /// <summary>Number of alternatives given where so many are asked for, or the words of the refusal.</summary>
    async Task<(int Granted, string Refusal)> GrantsAsync(SamplingSettings sampling, CancellationToken cancellationToken)
    {
        try
        {
            var result = await _attempts.MakeAsync(token => traffic.CompleteAsync(Question, sampling, token), cancellationToken);
            return (result.Logprobs is { Count: > 0 } logprobs ? LogprobCheck.MostAlternatives(logprobs) : 0, "");
        }
        catch (Exception e) when (ProbeAttempts.IsOutcome(e))
        {
            return (0, (e as TeacherRequestException)?.ServerMessage ?? "");
        }
    }

    /// <summary>Compares the first token's distribution at two temperatures.</summary>
    /// <returns>
    /// Null where that cannot be known and makes no difference: under neutral settings the two kinds are the same numbers.
    /// </returns>
    /// <exception cref="TeacherUnavailableException">
    /// It cannot be told: a guess would have a student learn from the wrong distribution.
    /// </exception>
    async Task<LogprobKind?> KindAsync(SamplingSettings sampling, CancellationToken cancellationToken)
    {
        var plain = sampling with { MaxTokens = 1, Seed = Seed, Temperature = 1, TopP = 1 };
        if (sampling.Temperature == 1 && SamplingDistortions.Of(sampling.TopP, sampling.ExtraBody).Count == 0)
        {
            return await _attempts.TryAsync(token => CompareAsync(plain, token), cancellationToken);
        }

        return await _attempts.NeedAsync(token => CompareAsync(plain, token), models: null, cancellationToken)
            ?? throw new TeacherUnavailableException(
                $"{Endpoint} does not show whether its logprobs follow the temperature (it gave too few for small requests, "
                    + "or too much alike); raise --top-logprobs, or collect with temperature 1 and top_p 1, where it makes no difference"
            );
    }

    async Task<LogprobKind?> CompareAsync(SamplingSettings plain, CancellationToken cancellationToken)
    {
        var first = await traffic.CompleteAsync(OpenQuestion, plain, cancellationToken);
        var second = await traffic.CompleteAsync(OpenQuestion, plain with { Temperature = OtherTemperature }, cancellationToken);
        return first.Logprobs is { Count: > 0 } one && second.Logprobs is { Count: > 0 } other
            ? LogprobCheck.KindOf(one, other, OtherTemperature)
            : null;
    }

    /// <summary>Looks at a whole answer, with tokens as text; null where the response is of another form or there is none.</summary>
    async Task<AnswerFacts?> AnswerAsync(Dialect dialect, SamplingSettings sampling, CancellationToken cancellationToken)
    {
        if (dialect.IsSglangGenerate)
        {
            return null;
        }

        var whole = sampling with { MaxTokens = AnswerTokens, Seed = Seed, TopLogprobs = Math.Min(sampling.TopLogprobs, 1) };
        var request = ChatRequestWriter.Write(
            (await client.DialectAsync(cancellationToken)) with
            {
                AsksForTokenIds = false,
            },
            Endpoint.Model,
            ShortAnswer,
            whole
        );
        return await _attempts.TryAsync(
            async token => AnswerFacts.Of(await traffic.PostAsync(dialect.ChatRoute, request, AnswerTokens, token)),
            cancellationToken
        );
    }

    async Task<bool?> SeveralChoicesAsync(Dialect dialect, SamplingSettings sampling, CancellationToken cancellationToken)
    {
        var request = ChatRequestWriter.Write(
            await client.DialectAsync(cancellationToken),
            Endpoint.Model,
            Question,
            sampling with
            {
                ExtraBody = """{"n":2}""",
            }
        );
        return await _attempts.TryAsync<bool?>(
            async token =>
            {
                try
                {
                    return AnswerFacts.Choices(await traffic.PostAsync(dialect.ChatRoute, request, 2, token)) == 2;
                }
                catch (TeacherRequestException e) when (e.Status is 400 or 422)
                {
                    return false;
                }
            },
            cancellationToken
        );
    }
}

using System.Net.Http.Headers;
using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Scoring;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Connector;

/// <summary>
/// One teacher over HTTP: sends a request once and says, as a <see cref="TeacherRequestException"/>, what a failure means.
/// </summary>
/// <param name="observer">Notified, once each, of what makes its answers others than those asked for; null for none.</param>
sealed class TeacherClient(HttpClient http, TeacherEndpoint endpoint, TimeProvider time, IRunObserver? observer = null)
{
    /// <summary>Bytes of a response that holds no generation: a list of models, an error.</summary>
    const long MostPlainBytes = 16 << 20;

    static readonly MediaTypeHeaderValue Json = new("application/json");

    volatile Dialect? _dialect = endpoint.Dialect;
    volatile bool _opensThinking = endpoint.OpensThinking;
    string? _model;
    int _isSwapped;
    int _isWholeTold;
    volatile bool _streamsLogprobs = true;
    volatile ScoringWay? _scoring;

    public TeacherEndpoint Endpoint => endpoint;

    /// <summary>True where prompts end inside the reasoning: known from the teacher's template, or seen by the probe.</summary>
    public bool OpensThinking
    {
        get => _opensThinking;
        set => _opensThinking = value;
    }

    /// <summary>
    /// True where pieces of answers tell the logprobs of all their tokens; where not, answers with logprobs are asked for as a whole.
    /// </summary>
    /// <value>True, unless the dialect says otherwise.</value>
    public bool StreamsLogprobs
    {
        get => _streamsLogprobs;
        set => _streamsLogprobs = value;
    }

    /// <summary>The way in which texts are scored: found by the probe; before it, the likeliest for the dialect.</summary>
    public ScoringWay? Scoring
    {
        get => _scoring;
        set => _scoring = value;
    }

    /// <summary>The teacher's vocabulary, by which what comes back is held against what was sent.</summary>
    /// <value>None: ids are compared alone.</value>
    public TokenResolver Tokens { get; set; } = new(tokenizer: null);

    /// <summary>The endpoint's dialect, found out on the first call; without the fields that the server has refused since.</summary>
    public async ValueTask<Dialect> DialectAsync(CancellationToken cancellationToken)
    {
        if (_dialect is { } known)
        {
            return known;
        }

        // Requests that come meanwhile find it out for themselves; the first to know it decides.
        var found = await DialectDetector.FindAsync(endpoint.BaseAddress.Host, route => GetAsync(route, cancellationToken));
        return Interlocked.CompareExchange(ref _dialect, found, null) ?? found;
    }

    /// <summary>Asks for one choice. A prompt that a filter refuses has an empty answer, labelled as such.</summary>
    /// <exception cref="TeacherRequestException">The attempt failed.</exception>
    public Task<GenerationResult> CompleteAsync(
        IReadOnlyList<ChatMessage> messages,
        SamplingSettings sampling,
        CancellationToken cancellationToken
    ) => CompleteAsync(messages, sampling, progress: null, cancellationToken);

    /// <inheritdoc cref="CompleteAsync(IReadOnlyList{ChatMessage}, SamplingSettings, CancellationToken)"/>
    /// <param name="progress">Notified of what comes; null for none.</param>
    public async Task<GenerationResult> CompleteAsync(
        IReadOnlyList<ChatMessage> messages,
        SamplingSettings sampling,
        AnswerProgress? progress,
        CancellationToken cancellationToken
    )
    {
        for (var dialect = await DialectAsync(cancellationToken); ; dialect = _dialect!)
        {
            try
            {
                return await SendOnceAsync(dialect, messages, sampling, progress, cancellationToken);
            }
            catch (TeacherRequestException e) when (e.IsFiltered)
            {
                return new GenerationResult
                {
                    Reasoning = "",
                    Answer = "",
                    Text = "",
                    FinishReason = FinishReasons.ContentFilter,
                };
            }
            catch (TeacherRequestException e)
                when (e.Status is 400 or 422 && !e.IsTooLong && DialectAdaptation.Without(dialect, e.ServerMessage, sampling) is { } simpler
                )
            {
                // Where another request has found out more meanwhile, that stands.
                if (Interlocked.CompareExchange(ref _dialect, simpler, dialect) == dialect)
                {
                    Tell(dialect, simpler);
                }
            }
        }
    }

    /// <summary>Asks for the logprobs of a text that exists.</summary>
    /// <param name="request">The text.</param>
    /// <param name="way">The way; null: <see cref="Scoring"/>.</param>
    /// <param name="progress">Notified of what comes; null for none.</param>
    /// <param name="cancellationToken">Abandons the attempt.</param>
    /// <exception cref="TeacherRequestException">The attempt failed, or what came back is not what was sent.</exception>
    public async Task<ScoredText> ScoreAsync(
        ScoringRequest request,
        ScoringWay? way,
        AnswerProgress? progress,
        CancellationToken cancellationToken
    )
    {
        for (var dialect = await DialectAsync(cancellationToken); ; dialect = _dialect!)
        {
            var sampling = new SamplingSettings { MaxTokens = request.Tokens.Length + 1, TopLogprobs = request.TopLogprobs };
            try
            {
                return await ScoreOnceAsync(dialect, request, way ?? _scoring ?? ScoringWay.Of(dialect)[0], progress, cancellationToken);
            }
            catch (TeacherRequestException e)
                when (e.Status is 400 or 422 && !e.IsTooLong && DialectAdaptation.Without(dialect, e.ServerMessage, sampling) is { } simpler
                )
            {
                Interlocked.CompareExchange(ref _dialect, simpler, dialect);
            }
        }
    }

    async Task<ScoredText> ScoreOnceAsync(
        Dialect dialect,
        ScoringRequest request,
        ScoringWay way,
        AnswerProgress? progress,
        CancellationToken cancellationToken
    )
    {
        var (ids, first) = way.LeavesOutFirst ? (request.Tokens[1..], 0) : (request.Tokens, request.First);
        var text = way.SendsText
            ? Tokens.Tokenizer?.Decode(ids)
                ?? throw new TeacherRequestException(FailureScope.Teacher, $"{endpoint} takes text alone, and its tokenizer is not known")
            : null;
        var call = new ScoringCall(
            endpoint.Model,
            dialect,
            ids,
            request.Tokens,
            text,
            first,
            request.TopLogprobs,
            way.NewTokens,
            request.DrawSeed
        );
        var most = ResponseBound.Of(new SamplingSettings { MaxTokens = ids.Length + 1, TopLogprobs = request.TopLogprobs });
        return await PostAsync(
            dialect,
            way.Form.Route,
            way.Form.Write(call),
            async response =>
            {
                using var body = await ReadWholeAsync(response, most, cancellationToken);
                progress?.Received();
                return await AnswerThreads.RunAsync(() => Read(body), goesOnThere: progress is not null);
            },
            cancellationToken,
            Sent()
        );

        IEnumerable<string> Sent()
        {
            yield return text ?? Tokens.Tokenizer?.Decode(ids) ?? "";
        }

        ScoredText Read(ResponseBody body)
        {
            try
            {
                var (tokens, start) = way.Form.Read(body.Bytes, call);
                return ScoreAlignment.Align(tokens, start, request, way.NewTokens, Tokens);
            }
            catch (ScoreMisalignedException e)
            {
                throw new TeacherRequestException(FailureScope.Request, $"{endpoint} {endpoint.Redact(e.Message)}", e);
            }
        }
    }

    /// <summary>The names under <c>/models</c>; null where the endpoint has no such list.</summary>
    public async Task<IReadOnlyList<string>?> ListModelsAsync(CancellationToken cancellationToken) =>
        await GetAsync("models", cancellationToken) is { } root && root.Find("data") is { ValueKind: JsonValueKind.Array }
            ? [.. root.Items("data").Select(model => model.Text("id")).OfType<string>()]
            : null;

    /// <summary>
    /// The JSON at an address below the endpoint's; null where the endpoint has nothing of the
    /// kind there, or not for this key: it may be one for completions alone.
    /// </summary>
    public async Task<JsonElement?> GetAsync(string route, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, endpoint.Address(route));
        try
        {
            return await SendAsync(
                request,
                _dialect ?? KnownDialects.Compatible,
                response => ReadJsonAsync(response, cancellationToken),
                cancellationToken
            );
        }
        catch (TeacherRequestException e) when (e.Status is not null and not (429 or >= 500) || e.IsFormat)
        {
            return null;
        }
    }

    /// <summary>The JSON that is answered to one small request.</summary>
    public async Task<JsonElement> PostAsync(string route, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        await PostAsync(
            await DialectAsync(cancellationToken),
            route,
            content,
            response => ReadJsonAsync(response, cancellationToken),
            cancellationToken
        ) ?? throw TeacherFailures.FromFormat(endpoint, new WireFormatException("the response is not JSON"));

    async Task<GenerationResult> SendOnceAsync(
        Dialect dialect,
        IReadOnlyList<ChatMessage> messages,
        SamplingSettings sampling,
        AnswerProgress? progress,
        CancellationToken cancellationToken
    )
    {
        var form = new ReplyForm(dialect.ListsEndOfSequence, _opensThinking, endpoint.Markers);
        var reader = progress?.Told is { } told ? new StreamedReasoning(form.Markers, form.OpensThinking, told) : null;
        var isStreamed = reader is not null || StreamsFor(dialect, sampling);
        var request = endpoint.Form.Write(dialect, endpoint.Model, messages, sampling, isStreamed);
        var result = await PostAsync(
            dialect,
            dialect.ChatRoute,
            request,
            response =>
                isStreamed && IsStream(response)
                    ? ReadStreamAsync(response, sampling, form, piece => Tell(piece, progress, reader), cancellationToken)
                    : ReadAsync(response, sampling, form, progress, cancellationToken),
            cancellationToken,
            messages.Select(message => message.Content)
        );
        Compare(result.Model);
        reader?.End(result);
        return result;
    }

    /// <summary>Returns whether an answer that nobody reads along is to come in pieces.</summary>
    bool StreamsFor(Dialect dialect, SamplingSettings sampling)
    {
        if (!endpoint.IsStreamed || sampling.TopLogprobs == 0 || (dialect.StreamsLogprobs && _streamsLogprobs))
        {
            return endpoint.IsStreamed;
        }

        if (Interlocked.Exchange(ref _isWholeTold, 1) == 0)
        {
            observer?.Message(
                $"{endpoint} streams no logprobs for tokens without text, such as the end of the reasoning: "
                    + "its answers are asked for as a whole, for all stream: true"
            );
        }

        return false;
    }

    /// <summary>Reads an answer that comes as a whole.</summary>
    async Task<GenerationResult> ReadAsync(
        HttpResponseMessage response,
        SamplingSettings sampling,
        ReplyForm form,
        AnswerProgress? progress,
        CancellationToken cancellationToken
    )
    {
        using var body = await ReadWholeAsync(response, ResponseBound.Of(sampling), cancellationToken);
        progress?.Received();
        return await AnswerThreads.RunAsync(() => endpoint.Form.Read(body.Bytes, sampling, form), goesOnThere: progress is not null);
    }

    static async Task<GenerationResult> ReadStreamAsync(
        HttpResponseMessage response,
        SamplingSettings sampling,
        ReplyForm form,
        Action<StreamedText> told,
        CancellationToken cancellationToken
    )
    {
        await using var pieces = new BoundedStream(
            await CompressedContent.ReadAsync(response.Content, cancellationToken),
            ResponseBound.Of(sampling)
        );
        return await CompletionStream.ReadAsync(pieces, sampling.TopLogprobs, form, told, cancellationToken);
    }

    static void Tell(StreamedText piece, AnswerProgress? progress, StreamedReasoning? reader)
    {
        progress?.CountPiece();
        reader?.Add(piece);
    }

    /// <summary>Tells of a refused field without which answers may be others.</summary>
    void Tell(Dialect before, Dialect after)
    {
        if (before.Fields.Keys.Except(after.Fields.Keys).FirstOrDefault() is { } field)
        {
            observer?.Message(
                $"{endpoint} refuses {field}: it is left out from now on, "
                    + "and the server's own default may change what its tokens are drawn from"
            );
        }
        else if (after.LeftOut.Contains("seed") && !before.LeftOut.Contains("seed"))
        {
            observer?.Message($"{endpoint} refuses seed: it is left out from now on, and the same request may get another answer");
        }
    }

    /// <summary>Tells of a reply that names another model than the first one, a probe's, did.</summary>
    void Compare(string? model)
    {
        if (
            model is not null
            && Interlocked.CompareExchange(ref _model, model, null) is { } first
            && first != model
            && Interlocked.Exchange(ref _isSwapped, 1) == 0
        )
        {
            observer?.Message(
                $"{endpoint} answers as {Named(model)}, and did as {Named(first)} before: "
                    + "the traces are of both, unless these are two names of one model"
            );
        }

        string Named(string name) => new ErrorBody(PlainLine.Of(name), Code: null).Shown(endpoint.Redact);
    }

    /// <param name="prompt">Prompt, which an error's message may not repeat.</param>
    async Task<T> PostAsync<T>(
        Dialect dialect,
        string route,
        ReadOnlyMemory<byte> bytes,
        Func<HttpResponseMessage, Task<T>> read,
        CancellationToken cancellationToken,
        IEnumerable<string>? prompt = null
    )
    {
        using var content = new ReadOnlyMemoryContent(bytes);
        content.Headers.ContentType = Json;
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint.Address(route)) { Content = content };
        return await SendAsync(request, dialect, read, cancellationToken, prompt);
    }

    /// <summary>Sends, and reads the response.</summary>
    /// <exception cref="TeacherRequestException">It is no success, or cannot be read.</exception>
    async Task<T> SendAsync<T>(
        HttpRequestMessage request,
        Dialect dialect,
        Func<HttpResponseMessage, Task<T>> read,
        CancellationToken cancellationToken,
        IEnumerable<string>? prompt = null
    )
    {
        endpoint.Authorize(request, dialect);
        CompressedContent.Offer(request);
        request.Version = http.DefaultRequestVersion;
        request.VersionPolicy = http.DefaultVersionPolicy;
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if ((int)response.StatusCode is >= 300 and < 400)
            {
                throw TeacherFailures.FromRedirect(endpoint, (int)response.StatusCode, response.Headers.Location);
            }

            if (!response.IsSuccessStatusCode)
            {
                using var body = await ResponseBody.ReadAsync(response.Content, MostPlainBytes, cancellationToken);
                throw FailureOf(response, (int)response.StatusCode, ErrorBody.Parse(body.Bytes), prompt);
            }

            try
            {
                return await read(response);
            }
            catch (ReportedErrorException e)
            {
                throw FailureOf(response, TeacherFailures.StatusOf(e.Error), e.Error, prompt);
            }
        }
        catch (ResponseTooLargeException e)
        {
            throw TeacherFailures.FromSize(endpoint, e);
        }
        catch (Exception e) when (CompressedContent.IsFault(e))
        {
            throw TeacherFailures.FromFormat(endpoint, new WireFormatException("its body cannot be decompressed", e));
        }
        catch (WireFormatException e)
        {
            throw TeacherFailures.FromFormat(endpoint, e);
        }
        catch (Exception e)
            when (e is HttpRequestException or IOException
                || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested)
            )
        {
            throw TeacherFailures.FromTransport(endpoint, e);
        }
    }

    /// <summary>The whole body of a success.</summary>
    static async Task<ResponseBody> ReadWholeAsync(HttpResponseMessage response, long mostBytes, CancellationToken cancellationToken)
    {
        var body = await ResponseBody.ReadAsync(response.Content, mostBytes, cancellationToken);
        if (ErrorBody.InSuccess(body.Bytes) is { } error)
        {
            body.Dispose();
            throw new ReportedErrorException(error);
        }

        return body;
    }

    TeacherRequestException FailureOf(HttpResponseMessage response, int status, ErrorBody error, IEnumerable<string>? prompt) =>
        TeacherFailures.FromStatus(
            endpoint,
            status,
            error.Without(prompt ?? []),
            TeacherFailures.RetryAfter(response.Headers, time),
            isOfStream: IsStream(response)
        );

    static bool IsStream(HttpResponseMessage response) => response.Content.Headers.ContentType?.MediaType == "text/event-stream";

    static async Task<JsonElement?> ReadJsonAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        using var body = await ReadWholeAsync(response, MostPlainBytes, cancellationToken);
        return JsonElementOf(body.Bytes);
    }

    static JsonElement? JsonElementOf(ReadOnlySpan<byte> json)
    {
        try
        {
            // Text that is none would come to light wherever it is looked at.
            var texts = new Utf8JsonReader(json);
            while (texts.Read())
            {
                _ = texts.TokenType is JsonTokenType.String or JsonTokenType.PropertyName ? texts.GetString() : null;
            }

            var reader = new Utf8JsonReader(json);
            using var document = JsonDocument.ParseValue(ref reader);
            return document.RootElement.Clone();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}

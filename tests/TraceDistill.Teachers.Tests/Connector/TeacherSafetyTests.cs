using System.IO.Compression;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Connector;

/// <summary>Keys stay where they belong, nobody in between is trusted, and no response takes more memory than it can be worth.</summary>
public sealed class TeacherSafetyTests
{
    const string Key = "sk-very-secret-4711";
    static readonly ChatMessage[] Messages = [new("user", "What is 1 + 2?")];
    static readonly SamplingSettings Sampling = new() { MaxTokens = 64, TopLogprobs = 3 };

    [Fact]
    public async Task RunAsync_ServerThatRepeatsTheKeyEverywhere_LeavesItInNoFileMessageOrError()
    {
        var failures = 0;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                (Interlocked.Increment(ref failures) % 3) switch
                {
                    1 => Replies.Completion("<think>a</think>46")(context, request),
                    2 => Replies.Error(400, $"upstream said: invalid header Authorization: {context.Request.Headers.Authorization}")(
                        context,
                        request
                    ),
                    _ => Replies.Json($$"""{"choices":"{{context.Request.Headers.Authorization}}"}""")(context, request),
                }
        );
        using var run = new CollectionRun(problems: 9);
        var observer = new RecordingObserver();
        var keyFile = Path.Combine(Path.GetDirectoryName(run.Problems)!, "key.txt");
        await File.WriteAllTextAsync(keyFile, Key + "\n", TestTeacher.Token);

        var error = await Assert.ThrowsAnyAsync<Exception>(() =>
            run.RunAsync(server, options => options with { ApiKeyFile = keyFile, Concurrency = 1 }, observer)
        );

        Assert.All(server.Keys, key => Assert.Equal($"Bearer {Key}", key));
        Assert.Contains("[key]", string.Join('\n', observer.Messages) + error);
        Assert.DoesNotContain(Key, error.ToString());
        Assert.DoesNotContain(observer.Messages, message => message.Contains(Key, StringComparison.Ordinal));
        var files = Directory.GetFiles(run.Out, "*", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        Assert.All(files, file => Assert.True(File.ReadAllBytes(file).AsSpan().IndexOf(Encoding.ASCII.GetBytes(Key)) < 0, file));
    }

    [Theory]
    [InlineData(null, "no-such-file", "api_key_file")]
    [InlineData("", null, "is empty")]
    [InlineData("two\nlines", null, "more than a key")]
    [InlineData("with space", null, "more than a key")]
    [InlineData("clé", null, "more than a key")]
    public void Create_BadKey_NamesItsPlaceAndNotTheKey(string? content, string? missing, string expected)
    {
        using var folder = new TraceDistill.Tests.Support.TemporaryDirectory();
        var file = folder.File(missing ?? "key");
        if (content is not null)
        {
            File.WriteAllText(file, content);
        }

        var error = Assert.Throws<InvalidInputException>(() =>
            TeacherEndpoint.Create(
                new EndpointSettings
                {
                    Url = "https://host/v1",
                    Model = "m",
                    ApiKeyFile = file,
                }
            )
        );

        Assert.Contains(expected, error.Message);
        Assert.Contains(file, error.Message);
        Assert.True(string.IsNullOrEmpty(content) || !error.ToString().Contains(content, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("https://host/v1?api_key=sk-1")]
    [InlineData("https://host/v1?api-version=1&token=sk-1")]
    [InlineData("https://host/v1?sk-1")]
    [InlineData("https://host/v1?sk-1==")]
    public void Create_KeyInTheAddress_IsRefusedWithoutRepeatingIt(string url)
    {
        var error = Assert.Throws<InvalidInputException>(() => TeacherEndpoint.Create(new EndpointSettings { Url = url, Model = "m" }));

        Assert.Contains("api-version", error.Message);
        Assert.DoesNotContain("sk-1", error.Message);
    }

    [Fact]
    public async Task CompleteAsync_Azure_SendsItsOwnHeaderAndVersion()
    {
        string? seen = null;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                seen = $"{context.Request.Headers["api-key"]} {context.Request.QueryString} {context.Request.Headers.Authorization}";
                return Replies.Completion("ok")(context, request);
            }
        );
        var client = Client(server.Url + "?api-version=2024-10-21", "azure");

        await client.CompleteAsync(Messages, Sampling, TestTeacher.Token);

        Assert.Equal($"{Key} ?api-version=2024-10-21 ", seen);
        Assert.Contains("\"max_completion_tokens\":64", server.Requests.Single());
        Assert.Equal(
            "https://r.openai.azure.com/openai/v1/",
            TeacherEndpoint.Create(new EndpointSettings { Url = "https://r.openai.azure.com", Model = "m" }).BaseAddress.ToString()
        );
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(303)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task CompleteAsync_RedirectToAnotherHost_SendsNeitherKeyNorPromptThere(int status)
    {
        await using var other = await ProtocolServer.StartAsync(Replies.Completion("stolen"));
        await using var server = await RedirectingAsync(status, $"{other.Url}/chat/completions?next=1");

        foreach (var dialect in (string[])["compatible", "azure"])
        {
            var error = await Assert.ThrowsAsync<TeacherRequestException>(() =>
                Client(server.Url, dialect).CompleteAsync(Messages, Sampling, TestTeacher.Token)
            );

            Assert.Equal(FailureScope.Teacher, error.Scope);
            Assert.Contains($"redirects to {other.Url}/chat/completions ({status})", error.Message);
        }

        Assert.Empty(other.Requests);
        Assert.Empty(other.Keys);
    }

    [Theory]
    [InlineData("/login/sk-very-secret-4711/next")]
    [InlineData("/login/sk%2Dvery%2dsecret-4711/next")]
    [InlineData("/login/%73%6B-very-secret-4711/next")]
    [InlineData("//SK-VERY-SECRET-4711.example/next")]
    public async Task CompleteAsync_RedirectWithTheKeyInIt_IsToldWithoutIt(string location)
    {
        await using var server = await RedirectingAsync(302, location);

        var error = await Assert.ThrowsAsync<TeacherRequestException>(() =>
            Client(server.Url).CompleteAsync(Messages, Sampling, TestTeacher.Token)
        );

        Assert.Contains("[key]", error.Message);
        Assert.DoesNotContain("secret-4711", error.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CompleteAsync_KeyAcrossTheCutOfALongMessage_LeavesNoHeadOfIt(bool isJson)
    {
        var message = new string('x', 293) + " " + Key;
        await using var server = await ProtocolServer.StartAsync(
            isJson ? Replies.Error(400, message) : Replies.Status(400, body: new string(' ', 900) + message)
        );

        var error = await Assert.ThrowsAsync<TeacherRequestException>(() =>
            Client(server.Url).CompleteAsync(Messages, Sampling, TestTeacher.Token)
        );

        Assert.DoesNotContain("sk-", error.Message);
        Assert.DoesNotContain("sk-", error.ServerMessage);
    }

    [Theory]
    [InlineData("//")]
    [InlineData("//[")]
    [InlineData("//:99999999/x")]
    public async Task CompleteAsync_RedirectToNoAddress_IsTold(string location)
    {
        await using var server = await RedirectingAsync(307, location);

        var error = await Assert.ThrowsAsync<TeacherRequestException>(() =>
            Client(server.Url).CompleteAsync(Messages, Sampling, TestTeacher.Token)
        );

        Assert.Equal(FailureScope.Teacher, error.Scope);
        Assert.Contains("redirects to elsewhere (307)", error.Message);
    }

    [Fact]
    public async Task CompleteAsync_RedirectFromHttpsToHttp_SendsNothingInTheClear()
    {
        await using var clear = await ProtocolServer.StartAsync(Replies.Completion("overheard"));
        await using var server = await SecureServer.StartAsync(context =>
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = $"{clear.Url}/chat/completions";
            return Task.CompletedTask;
        });

        var error = await Assert.ThrowsAsync<TeacherRequestException>(() =>
            Client(server.Url, "compatible", trusting: true).CompleteAsync(Messages, Sampling, TestTeacher.Token)
        );

        Assert.Contains("redirects to http://", error.Message);
        Assert.Empty(clear.Keys);
    }

    [Fact]
    public async Task CompleteAsync_CertificateThatNobodyVouchesFor_IsRefusedBeforeAnythingIsSent()
    {
        await using var server = await SecureServer.StartAsync(context => context.Response.WriteAsync("{}"));
        using var teacher = new TeacherPool(
            Endpoint(server.Url, "auto"),
            new ResilienceOptions(),
            TestTeacher.Time(),
            new RecordingObserver()
        );

        var error = await Assert.ThrowsAsync<TeacherUnavailableException>(() =>
            teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token)
        );

        Assert.StartsWith($"the certificate of teacher at {server.Url} is not trusted", error.Message);
        Assert.Contains("SSL_CERT_FILE", error.Message);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Empty(server.Protocols);
    }

    [Fact]
    public void Handler_AsMade_ChecksCertificatesAsTheSystemDoes()
    {
        using var handler = TeacherHttpHandler.Create(1);

        Assert.Null(handler.SslOptions.RemoteCertificateValidationCallback);
        Assert.Null(handler.SslOptions.CertificateChainPolicy);
        Assert.False(handler.AllowAutoRedirect);
        Assert.DoesNotContain(typeof(GenerateOptions).GetProperties().Concat(typeof(EndpointSettings).GetProperties()), option =>
            option.Name.Contains("Tls", StringComparison.OrdinalIgnoreCase)
            || option.Name.Contains("Cert", StringComparison.OrdinalIgnoreCase)
            || option.Name.Contains("Insecure", StringComparison.OrdinalIgnoreCase)
        );
    }

    [Fact]
    public async Task CompleteAsync_OverHttps_SpeaksHttp2()
    {
        await using var server = await SecureServer.StartAsync(context => Replies.Json(WireJson.Completion("ok", 3))(context, ""));

        await Client(server.Url, "compatible", trusting: true).CompleteAsync(Messages, Sampling, TestTeacher.Token);

        Assert.Equal("HTTP/2", server.Protocols.Single());
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("GZIP")]
    [InlineData("x-gzip")]
    [InlineData("br")]
    public async Task CompleteAsync_CompressedResponse_IsRead(string encoding)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, _) => SendCompressedAsync(context, encoding, Encoding.UTF8.GetBytes(WireJson.Completion("<think>a</think>b", 3)))
        );

        Assert.Equal("b", (await Client(server.Url).CompleteAsync(Messages, Sampling, TestTeacher.Token)).Answer);
    }

    [Theory]
    [InlineData("http://127.0.0.1:1/v1", "")]
    [InlineData("https://gpu-01/v1", "gzip, br")]
    public void Offer_Compression_ToOtherMachinesAlone(string url, string expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, url);

        CompressedContent.Offer(request);

        Assert.Equal(expected, request.Headers.AcceptEncoding.ToString());
    }

    [Theory]
    [InlineData("gzip", "no gzip at all")]
    [InlineData("br", "\u00ff no brotli at all")]
    public async Task CompleteAsync_GarbageUnderTheNameOfACompression_IsPassing(string encoding, string garbage)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, _) =>
            {
                context.Response.Headers.ContentEncoding = encoding;
                return context.Response.WriteAsync(garbage, Encoding.Latin1);
            }
        );

        var error = await Assert.ThrowsAsync<TeacherRequestException>(() =>
            Client(server.Url).CompleteAsync(Messages, Sampling, TestTeacher.Token)
        );

        Assert.Equal(FailureScope.Passing, error.Scope);
        Assert.Contains("its body cannot be decompressed", error.Message);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("gzip")]
    public async Task CompleteAsync_BodyPastAnyAnswer_IsOneFailure(string? encoding)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, _) => SendCompressedAsync(context, encoding, new byte[40 << 20])
        );

        var error = await Assert.ThrowsAsync<TeacherRequestException>(() =>
            Client(server.Url).CompleteAsync(Messages, Sampling, TestTeacher.Token)
        );

        Assert.Equal(FailureScope.Request, error.Scope);
        Assert.Contains("longer than 16 MiB", error.Message);
    }

    [Fact]
    public async Task ReadAsync_EndlessBody_IsReadNoFurtherThanTheBound()
    {
        const int Bound = 1 << 20;
        using var endless = new EndlessStream();
        using var content = new StreamContent(endless);

        await Assert.ThrowsAsync<ResponseTooLargeException>(() => ResponseBody.ReadAsync(content, Bound, TestTeacher.Token));

        Assert.InRange(endless.Given, Bound, 3 * Bound);
    }

    [Fact]
    public async Task ReadAsync_BodiesThatStall_KeepNoOtherFromItsEnd()
    {
        using var stop = new CancellationTokenSource();
        var stalled = Enumerable
            .Range(0, 100)
            .Select(_ => ResponseBody.ReadAsync(new StreamContent(new StallingStream(100_000)), 1 << 26, stop.Token))
            .ToArray();
        using var content = new ByteArrayContent(new byte[4 << 20]);

        using var body = await ResponseBody.ReadAsync(content, 1 << 26, TestTeacher.Token);

        Assert.Equal(4 << 20, body.Bytes.Length);
        Assert.DoesNotContain(stalled, task => task.IsCompleted);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(stalled));
    }

    [Fact]
    public async Task TakeAsync_BudgetThatIsSpent_WaitsUntilSomeIsGivenBackAndNeverForItself()
    {
        var budget = new BodyBudget(100);
        var (first, second, third) = (new object(), new object(), new object());
        await budget.TakeAsync(first, holds: false, 60, TestTeacher.Token);
        await budget.TakeAsync(second, holds: false, 40, TestTeacher.Token);
        var late = budget.TakeAsync(third, holds: false, 10, TestTeacher.Token).AsTask();
        var more = budget.TakeAsync(first, holds: true, 60, TestTeacher.Token).AsTask();
        Assert.False(late.IsCompleted || more.IsCompleted);

        // Now both that hold some wait for more: the first of them goes on, and not the other, however often.
        var other = budget.TakeAsync(second, holds: true, 40, TestTeacher.Token).AsTask();
        await more;
        await budget.TakeAsync(first, holds: true, 120, TestTeacher.Token);
        await budget.TakeAsync(first, holds: true, 240, TestTeacher.Token);
        Assert.False(late.IsCompleted || other.IsCompleted);

        budget.Return(first, 480);
        await Task.WhenAll(late, other);
    }

    [Fact]
    public async Task CompleteAsync_PromiseOfAHugeBody_IsRefusedUnread()
    {
        await using var server = await ProtocolServer.StartAsync(
            async (context, request) =>
            {
                context.Response.ContentLength = 1L << 40;
                await context.Response.WriteAsync("{");
                await context.Response.Body.FlushAsync();
                await Replies.Stall(context, request);
            }
        );

        var error = await Assert.ThrowsAsync<TeacherRequestException>(() =>
            Client(server.Url).CompleteAsync(Messages, Sampling, TestTeacher.Token)
        );

        Assert.Contains("longer than 16 MiB", error.Message);
    }

    [Fact]
    public void Bound_OfALongTraceWithManyAlternatives_LeavesRoomForIt()
    {
        // 32,768 tokens, top 20: some 1,550 bytes a token were measured.
        Assert.InRange(
            ResponseBound.Of(new SamplingSettings { MaxTokens = 32_768, TopLogprobs = 20 }),
            5 * 32_768 * 1_550L,
            Array.MaxLength
        );
    }

    static TeacherEndpoint Endpoint(string url, string dialect) =>
        TeacherEndpoint.Create(
            new EndpointSettings
            {
                Url = url,
                Model = "teacher",
                ApiKeyEnv = "TEACHER_KEY",
                Dialect = dialect,
            },
            name => name == "TEACHER_KEY" ? Key : null
        );

    /// <param name="trusting">Takes the test server's certificate: a thing that a test can do and the program cannot.</param>
    static Task<ProtocolServer> RedirectingAsync(int status, string location) =>
        ProtocolServer.StartAsync(
            (context, _) =>
            {
                context.Response.StatusCode = status;
                context.Response.Headers.Location = location;
                return Task.CompletedTask;
            }
        );

    static TeacherClient Client(string url, string dialect = "compatible", bool trusting = false)
    {
        var handler = TeacherHttpHandler.Create(4);
        if (trusting)
        {
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject == "CN=127.0.0.1";
        }

        return new TeacherClient(TeacherHttpHandler.CreateClient(handler), Endpoint(url, dialect), TimeProvider.System);
    }

    static async Task SendCompressedAsync(HttpContext context, string? encoding, byte[] bytes)
    {
        context.Response.Headers.ContentEncoding = encoding;
        await using var stream = encoding switch
        {
            "gzip" or "GZIP" or "x-gzip" => new GZipStream(context.Response.Body, CompressionLevel.Fastest),
            "br" => new BrotliStream(context.Response.Body, CompressionLevel.Fastest),
            _ => context.Response.Body,
        };
        await stream.WriteAsync(bytes);
    }

    /// <summary>Gives zeros up to a point and then nothing, nor an end.</summary>
    sealed class StallingStream(int most) : EndlessStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Given >= most)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            }

            return Read(buffer.Span);
        }
    }

    /// <summary>Gives zeros for as long as it is asked, and counts them.</summary>
    class EndlessStream : Stream
    {
        public long Given { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => Given;
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            Array.Clear(buffer, offset, count);
            Given += count;
            return count;
        }

        public override void Flush() { }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}

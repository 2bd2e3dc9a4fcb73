using System.Buffers.Binary;
using System.Net;
using System.Text;
using Microsoft.Data.Sqlite;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Wire;
using TraceDistill.Tests.Support;
using TraceDistill.TestServer.Forms;
using TraceDistill.TestServer.Teaching;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Tests.Fuzzing;

/// <summary>Everything that reads what a server, a crash or a bad disk may have spoilt.</summary>
static class FuzzTargets
{
    const long Megabyte = 1 << 20;

    const int TailBytes = 8;

    static readonly DatasetDescription Dataset = new()
    {
        Teacher = "teacher",
        TokenIdentity = TokenIdentity.Ids,
        TopK = 3,
    };

    public static async Task<FuzzTarget> CreateAsync(string name, TemporaryDirectory folder) =>
        name switch
        {
            "chat completions" => Responses(
                name,
                [.. WireForms.All.Where(form => form.Route != "/generate").SelectMany(Completions)],
                HttpStatusCode.OK
            ),
            "streams" => new(
                name,
                [.. WireForms.All.OfType<StreamingForm>().Select(Stream)],
                ReadStreamAsync,
                e => e is WireFormatException or ReportedErrorException,
                Megabyte
            ),
            "native generations" => new(
                name,
                [Completion(WireForms.SglangGenerate, topLogprobs: 3)],
                Sync(bytes => SglangGenerateReader.Read(bytes, 3, default)),
                e => e is WireFormatException,
                Megabyte
            ),
            "errors" => Responses(
                name,
                [
                    .. WireForms.All.Select(form => form.Error(500, "CUDA error: out of memory").ToArray()),
                    "<html>502</html>"u8.ToArray(),
                    """{"detail":[{"msg":"field required"}]}"""u8.ToArray(),
                ],
                HttpStatusCode.BadGateway
            ),
            "lists of models" => Models(name),
            "journalled traces" => new(
                name,
                [TraceCodec.Encode(Sample(1)), TraceCodec.Encode(Sample(2) with { Logprobs = null })],
                Sync(bytes => TraceCodec.Decode(bytes)),
                e => e is InvalidDataException,
                Megabyte
            ),
            "soft targets" => new(
                name,
                [SoftTargetCodec.Encode(Sample(1).Logprobs!)],
                Sync(bytes => SoftTargetCodec.Decode(bytes, Sample(1).Logprobs!.Count, 3)),
                e => e is InvalidDataException,
                Megabyte
            ),
            "journals" => await JournalAsync(name, folder),
            // Parquet.Net sets memory aside for as many entries as a footer promises, and gives it back at once.
            "shards" => await ShardAsync(name, folder, (head, footer) => (Whole(head, footer), damaged => damaged)),
            "pages of shards" => await ShardAsync(name, folder, (head, footer) => (head, damaged => Whole(damaged, footer))),
            "footers of shards" => await ShardAsync(name, folder, (head, footer) => (footer, damaged => Whole(head, damaged))),
            "manifests" => await ManifestAsync(name, folder),
            _ => throw new ArgumentOutOfRangeException(nameof(name)),
        };

    static IEnumerable<byte[]> Completions(WireForm form) =>
        form.Name == "ollama" ? [] : [Completion(form, topLogprobs: 3), Completion(form, topLogprobs: 3, spellIds: true)];

    static byte[] Completion(WireForm form, int topLogprobs, bool spellIds = false)
    {
        var flag = spellIds ? "true" : "false";
        var request = TeacherRequest.Parse(
            $$"""
            {"model":"teacher","messages":[{"role":"user","content":"What is 1 + 2?"}],"seed":2,"max_tokens":100,"top_logprobs":{{topLogprobs}},"return_token_ids":{{flag}},"return_tokens_as_token_ids":{{flag}}}
            """
        );
        return form.Completion(request, ScriptedTeachers.Answer(request, "√", " 3")).ToArray();
    }

    static byte[] Stream(StreamingForm form)
    {
        var request = TeacherRequest.Parse(
            """{"messages":[{"role":"user","content":"1 + 2"}],"seed":2,"max_tokens":100,"top_logprobs":3,"stream":true,"stream_options":{"include_usage":true}}"""
        );
        return form.Reply(request, ScriptedTeachers.Answer(request, "√", " 3")).Body.ToArray();
    }

    static async Task ReadStreamAsync(byte[] body)
    {
        using var stream = new MemoryStream(body);
        await CompletionStream.ReadAsync(stream, topLogprobs: 3, default, told: null, CancellationToken.None);
    }

    /// <summary>Read by the client as it reads what comes over the wire.</summary>
    static FuzzTarget Responses(string name, IReadOnlyList<byte[]> bodies, HttpStatusCode status)
    {
        var client = Client(out var answers);
        return new FuzzTarget(name, bodies, ReadAsync, e => e is TeacherRequestException, Megabyte);

        async Task ReadAsync(byte[] body)
        {
            (answers.Status, answers.Body) = (status, body);
            try
            {
                await client.CompleteAsync([new ChatMessage("user", "What is 1 + 2?")], TestTeacher.Sampling, CancellationToken.None);
            }
            catch (TeacherRequestException) when (status != HttpStatusCode.OK && bodies.Contains(body))
            {
                // A good error body is an error.
            }
        }
    }

    static FuzzTarget Models(string name)
    {
        var client = Client(out var answers);
        return new FuzzTarget(
            name,
            [.. WireForms.All.Select(form => form.Models(["teacher", "other"]).ToArray())],
            ReadAsync,
            e => e is TeacherRequestException,
            Megabyte
        );

        Task ReadAsync(byte[] body)
        {
            (answers.Status, answers.Body) = (HttpStatusCode.OK, body);
            return client.ListModelsAsync(CancellationToken.None);
        }
    }

    static TeacherClient Client(out Answers answers)
    {
        answers = new Answers();
        var endpoint = TeacherEndpoint.Create(
            new EndpointSettings
            {
                Url = "http://teacher.test/v1",
                Model = "teacher",
                Dialect = "vllm",
            }
        );
        return new TeacherClient(new HttpClient(answers), endpoint, TestTeacher.Time());
    }

    static async Task<FuzzTarget> JournalAsync(string name, TemporaryDirectory folder)
    {
        await using (var journal = TraceJournal.Open(folder.Path, Dataset))
        {
            await Task.WhenAll(Enumerable.Range(1, 20).Select(number => journal.AddAsync(Sample(number))));
        }

        var path = folder.File("journal.db");
        return new FuzzTarget(
            name,
            [await File.ReadAllBytesAsync(path)],
            ReadAsync,
            e => e is InvalidInputException or ExternalFailureException,
            64 * Megabyte
        );

        async Task ReadAsync(byte[] bytes)
        {
            await File.WriteAllBytesAsync(path, bytes);
            File.Delete(path + "-wal");
            await using var journal = TraceJournal.Open(folder.Path, Dataset);
            var traces = journal.Read(journal.Rows()).ToList();
            journal.Shards();
            await journal.AddAsync(Sample(30));
        }
    }

    /// <param name="part">From what stands before the footer, and the footer: what is damaged, and how it becomes a file.</param>
    static async Task<FuzzTarget> ShardAsync(
        string name,
        TemporaryDirectory folder,
        Func<byte[], byte[], (byte[] Part, Func<byte[], byte[]> Complete)> part
    )
    {
        await using (var writer = await ShardWriter.CreateAsync(folder.Path, Dataset))
        {
            for (var number = 1; number <= 20; number++)
            {
                await writer.WriteAsync(Sample(number));
            }

            await writer.CompleteAsync();
        }

        var path = folder.File("damaged.parquet");
        var whole = await File.ReadAllBytesAsync(folder.File("train-00000-of-00001.parquet"));
        var footerStart = whole.Length - TailBytes - BinaryPrimitives.ReadInt32LittleEndian(whole.AsSpan(whole.Length - TailBytes));
        var (good, complete) = part(whole[..footerStart], whole[footerStart..^TailBytes]);

        // What a page claims to hold is made room for before it is looked at.
        return new FuzzTarget(name, [good], ReadAsync, e => e is InvalidInputException, 256 * Megabyte);

        async Task ReadAsync(byte[] bytes)
        {
            await File.WriteAllBytesAsync(path, complete(bytes));
            var reader = await ShardReader.OpenAsync(path);
            await foreach (var _ in reader.ReadAsync()) { }
        }
    }

    /// <summary>A Parquet file ends with the footer's length and four letters.</summary>
    static byte[] Whole(byte[] head, byte[] footer) => [.. head, .. footer, .. BitConverter.GetBytes(footer.Length), .. "PAR1"u8];

    static async Task<FuzzTarget> ManifestAsync(string name, TemporaryDirectory folder)
    {
        var manifest = new ShardManifest
        {
            Dataset = Dataset,
            Layout = SoftTargetLayout.Compact,
            Rows = 1,
            Tokens = 2,
            Bytes = 3,
            Shards = [new ShardEntry("train-00000-of-00001.parquet", 1, 2, 3, new string('0', 64))],
        };
        manifest.Save(folder.Path);
        var path = folder.File(ShardManifest.FileName);
        return new FuzzTarget(name, [await File.ReadAllBytesAsync(path)], ReadAsync, e => e is InvalidInputException, Megabyte);

        Task ReadAsync(byte[] bytes)
        {
            File.WriteAllBytes(path, bytes);
            ShardManifest.Load(folder.Path);
            return Task.CompletedTask;
        }
    }

    static Func<byte[], Task> Sync(Action<byte[]> read) =>
        bytes =>
        {
            read(bytes);
            return Task.CompletedTask;
        };

    static Trace Sample(int number)
    {
        var request = TeacherRequest.Parse($$"""{"messages":[{"role":"user","content":"What is {{number}} + 2?"}],"max_tokens":100}""");
        var answer = ScriptedTeachers.Sum(request);
        return new Trace
        {
            Id = $"{number:x32}",
            ProblemId = $"p{number}",
            Source = "addition",
            Messages = [new ChatMessage("user", request.Prompt)],
            Reasoning = answer.Reasoning,
            Answer = answer.Answer,
            Generation = answer.Text,
            ExpectedAnswer = $"{number + 2}",
            FinishReason = "stop",
            Verdict = "correct",
            Teacher = "teacher",
            CompletionTokens = answer.Tokens.Count,
            CreatedAt = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
            PromptTokenIds = answer.PromptTokenIds,
            Logprobs = new TokenLogprobs
            {
                K = 3,
                TokenIds = [.. answer.Tokens.Select(token => token.Id)],
                Logprobs = [.. answer.Tokens.Select(token => token.Logprob)],
                TopIds = [.. answer.Tokens.SelectMany(token => token.Alternatives.Take(3)).Select(entry => entry.Id)],
                TopLogprobs = [.. answer.Tokens.SelectMany(token => token.Alternatives.Take(3)).Select(entry => entry.Logprob)],
            },
        };
    }

    /// <summary>Answers every request alike.</summary>
    sealed class Answers : HttpMessageHandler
    {
        public HttpStatusCode Status { get; set; }

        public byte[] Body { get; set; } = [];

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(Status) { Content = new ByteArrayContent(Body) });
    }
}

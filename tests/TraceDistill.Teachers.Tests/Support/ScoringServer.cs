using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using TraceDistill.Tests.Support;
using TraceDistill.TestServer.Forms;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>
/// A server that scores text as vLLM, SGLang or an older server of completions writes it. Its model is a formula: the distribution behind a
/// prefix follows from the prefix alone, so that a test works it out for itself.
/// </summary>
sealed class ScoringServer : IAsyncDisposable
{
    public const int Begin = 256;
    const int End = 257;

    readonly ProtocolServer _server;
    readonly string _form;

    ScoringServer(ProtocolServer server, string form) => (_server, _form) = (server, form);

    /// <summary>256 bytes, a beginning and an end of sequence.</summary>
    public static Tokenizer Vocabulary { get; } = Create();

    public static int Size => Vocabulary.VocabularySize;

    public string Url => _server.Url;

    /// <summary>The tokens that the server reads where it is sent these: as they are, unless a test says otherwise.</summary>
    public Func<int[], int[]> Reads { get; set; } = ids => ids;

    /// <summary>Changes a reply before it is sent.</summary>
    public Action<JsonObject> Spoils { get; set; } = _ => { };

    /// <summary>Answers in place of the model, while there are any.</summary>
    public ConcurrentQueue<Func<HttpContext, string, Task>> First { get; } = new();

    /// <summary>Bodies of the requests that the model answered.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>True where tokens are named by their text, whatever is asked for.</summary>
    public bool NamesText { get; set; }

    /// <summary>True where it refuses lists of ids.</summary>
    public bool TakesTextAlone { get; set; }

    /// <summary>Most alternatives that it grants.</summary>
    public int MostAlternatives { get; set; } = 1_000;

    /// <summary>Most tokens of a prompt.</summary>
    public int Context { get; set; } = 1_000;

    public static async Task<ScoringServer> StartAsync(string form)
    {
        var protocol = await ProtocolServer.StartAsync((context, body) => Task.CompletedTask);
        var server = new ScoringServer(protocol, form);
        protocol.Form = form switch
        {
            "vllm" => WireForms.Vllm,
            "sglang" => WireForms.Sglang,
            "tracedistill" => WireForms.TraceDistill,
            _ => WireForms.OpenAi, // no known host, and so any server of completions
        };
        protocol.Completions = server.AnswerAsync;
        protocol.Generates = server.AnswerAsync;
        return server;
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    /// <summary>[V] log-probabilities behind a prefix. Of one token in 50 there is none.</summary>
    public static double[] Distribution(ReadOnlySpan<int> prefix)
    {
        var state = 0x9E3779B97F4A7C15UL;
        foreach (var id in prefix)
        {
            state = (state ^ (ulong)id) * 0xBF58476D1CE4E5B9UL;
        }

        var logits = new double[Size];
        for (var id = 0; id < Size; id++)
        {
            var mixed = (state + ((ulong)id * 0x94D049BB133111EBUL)) * 0xBF58476D1CE4E5B9UL;
            mixed ^= mixed >> 31;
            logits[id] = mixed % 50 == 0 ? double.NegativeInfinity : 6.0 * (mixed >> 11) / (1UL << 53);
        }

        var total = Math.Log(logits.Sum(Math.Exp));
        return [.. logits.Select(logit => logit - total)];
    }

    /// <summary>The k likeliest, best first.</summary>
    public static List<(int Id, double Logprob)> Best(double[] distribution, int k) =>
        [.. distribution.Index().OrderByDescending(entry => entry.Item).ThenBy(entry => entry.Index).Take(k)];

    async Task AnswerAsync(HttpContext context, string body)
    {
        if (First.TryDequeue(out var reply))
        {
            await reply(context, body);
            return;
        }

        Requests.Enqueue(body);
        var request = JsonNode.Parse(body)!.AsObject();
        if (Refusal(request) is { } refusal)
        {
            await Replies.Error(400, refusal)(context, body);
            return;
        }

        var sent = request["prompt"] is JsonValue text
            ? Vocabulary.Encode(text.GetValue<string>())
            : Ids(request["prompt"] ?? request["input_ids"]);
        var read = Reads(sent);
        if (read.Length > Context)
        {
            await Replies.Error(400, $"This model's maximum context length is {Context} tokens.")(context, body);
            return;
        }

        var answer = _form switch
        {
            "vllm" => Vllm(read, request["prompt_logprobs"]!.GetValue<int>()),
            "sglang" => Sglang(read, request),
            _ => Echo(read, request),
        };
        Spoils(answer);
        await Replies.Bytes(context, Encoding.UTF8.GetBytes(answer.ToJsonString()));
    }

    string? Refusal(JsonObject request) =>
        _form == "vllm" && request["prompt_logprobs"] is null ? "echo is not supported"
        : _form == "vllm" && request["max_tokens"]!.GetValue<int>() < 1 ? "max_tokens must be at least 1, got 0."
        : _form != "vllm" && request["prompt_logprobs"] is not null ? "unknown field prompt_logprobs"
        : (request["prompt_logprobs"] ?? request["logprobs"])?.GetValueKind() == JsonValueKind.Number
        && (request["prompt_logprobs"] ?? request["logprobs"])!.GetValue<int>() is var k
        && k > MostAlternatives
            ? $"Requested prompt logprobs of {k}, which is greater than max allowed: {MostAlternatives}"
        : TakesTextAlone && request["prompt"] is JsonArray ? "prompt must be a string"
        : null;

    static int[] Ids(JsonNode? list) => [.. list!.AsArray().Select(id => id!.GetValue<int>())];

    static double Finite(double logprob) => Math.Max(logprob, -9999);

    static string TextOf(int id) => Encoding.UTF8.GetString(Vocabulary.GetBytes(id));

    /// <summary>The token itself first, the others in no order, and in the place of the k-th one that is not among them.</summary>
    static JsonObject Vllm(int[] read, int k)
    {
        var list = new JsonArray((JsonNode?)null);
        for (var i = 1; i < read.Length; i++)
        {
            var distribution = Distribution(read.AsSpan(0, i));
            var map = new JsonObject();
            var others = Best(distribution, k).Where(entry => entry.Id != read[i]).OrderBy(entry => entry.Id * 2_654_435_761u);
            foreach (var (id, logprob) in others.Prepend((read[i], distribution[read[i]])))
            {
                map[id.ToString(CultureInfo.InvariantCulture)] = new JsonObject
                {
                    ["logprob"] = Finite(logprob),
                    ["rank"] = distribution.Count(other => other > logprob) + 1,
                    ["decoded_token"] = TextOf(id),
                };
            }

            list.Add(map);
        }

        return new JsonObject
        {
            ["id"] = "cmpl-1",
            ["choices"] = new JsonArray(
                new JsonObject
                {
                    ["index"] = 0,
                    ["text"] = "x",
                    ["logprobs"] = null,
                    ["finish_reason"] = "length",
                    ["prompt_logprobs"] = list,
                }
            ),
            ["usage"] = Usage(read.Length, 1),
        };
    }

    static JsonObject Sglang(int[] read, JsonObject request)
    {
        var (start, k) = (request["logprob_start_len"]!.GetValue<int>(), request["top_logprobs_num"]!.GetValue<int>());
        var (tokens, top) = (new JsonArray(), new JsonArray());
        for (var i = start; i < read.Length; i++)
        {
            var distribution = Distribution(read.AsSpan(0, i));
            tokens.Add(new JsonArray(i == start ? null : JsonValue.Create(Finite(distribution[read[i]])), read[i], TextOf(read[i])));
            top.Add(
                i == start
                    ? null
                    : new JsonArray([
                        .. Best(distribution, k).Select(entry => new JsonArray(Finite(entry.Logprob), entry.Id, TextOf(entry.Id))),
                    ])
            );
        }

        return new JsonObject
        {
            ["text"] = "",
            ["meta_info"] = new JsonObject
            {
                ["prompt_tokens"] = read.Length,
                ["completion_tokens"] = 0,
                ["input_top_logprobs"] = top,
                ["input_token_logprobs"] = tokens,
            },
        };
    }

    JsonObject Echo(int[] read, JsonObject request)
    {
        var (k, generated) = (request["logprobs"]!.GetValue<int>(), request["max_tokens"]!.GetValue<int>());
        var (names, logprobs, top) = (new JsonArray(), new JsonArray(), new JsonArray());
        int[] all = [.. read, .. Enumerable.Repeat(7, generated)];
        for (var i = 0; i < all.Length; i++)
        {
            var distribution = Distribution(all.AsSpan(0, i));
            names.Add(Name(all[i], request));
            logprobs.Add(i == 0 ? null : Finite(distribution[all[i]]));
            if (i == 0)
            {
                top.Add(null);
                continue;
            }

            var map = new JsonObject();
            foreach (var (id, logprob) in Best(distribution, k).Append((all[i], distribution[all[i]])))
            {
                map[Name(id, request)] = Finite(logprob);
            }

            top.Add(map);
        }

        return new JsonObject
        {
            ["choices"] = new JsonArray(
                new JsonObject
                {
                    ["index"] = 0,
                    ["text"] = Vocabulary.Decode(all),
                    ["logprobs"] = new JsonObject
                    {
                        ["top_logprobs"] = top,
                        ["token_logprobs"] = logprobs,
                        ["tokens"] = names,
                    },
                    ["finish_reason"] = "length",
                }
            ),
            ["usage"] = Usage(read.Length, generated),
        };
    }

    string Name(int id, JsonObject request) =>
        !NamesText && request["return_tokens_as_token_ids"] is not null ? $"token_id:{id}" : TextOf(id);

    static JsonObject Usage(int prompt, int completion) => new() { ["prompt_tokens"] = prompt, ["completion_tokens"] = completion };

    static Tokenizer Create()
    {
        using var directory = new TemporaryDirectory();
        WriteVocabulary(directory.Path);
        return Tokenizer.Load(directory.Path);
    }

    /// <summary>Writes <see cref="Vocabulary"/> to a folder, with a chat template that ends an answer.</summary>
    public static void WriteVocabulary(string directory)
    {
        AddedToken[] added = [new("<|begin|>"), new("<|end|>")];
        BpeTrainer.Train(["abc"], 256 + added.Length, added, directory);
        File.WriteAllText(
            Path.Combine(directory, "tokenizer_config.json"),
            """
            {"eos_token":"<|end|>","bos_token":"<|begin|>","chat_template":
            "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}<|end|>{% endif %}{% endfor %}"}
            """
        );
    }
}

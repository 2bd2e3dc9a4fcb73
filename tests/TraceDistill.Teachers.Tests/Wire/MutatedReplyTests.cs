using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Wire;
using Xunit;
using static TraceDistill.TestServer.WireJson;

namespace TraceDistill.Teachers.Tests.Wire;

/// <summary>Replies with bytes changed, left out, doubled and spliced: they are read, or refused in the one documented way.</summary>
public sealed class MutatedReplyTests
{
    const int Rounds = 3000;
    static readonly ReplyToken[] Tokens = [.. ReplyToken.Characters("46"), ReplyToken.EndOfSequence];
    static readonly string[] Splices =
    [
        "null",
        "[]",
        "{}",
        "-1e999",
        "1e400",
        "\"\\uD800\"",
        "-0",
        "[[[[",
        "\"",
        "NaN",
        "99999999999",
        "}",
        "]",
        "\\u00",
        "true",
    ];

    public static TheoryData<string, string> Replies =>
        new()
        {
            { "vllm", DialectReplies.Vllm("46", "Hm", Tokens) },
            { "llamacpp", DialectReplies.LlamaCpp("46", "Hm", Tokens) },
            { "deepseek", DialectReplies.DeepSeek("46", "Hm", Tokens, Tokens) },
            { "openrouter", DialectReplies.OpenRouter("46", null, ["H", "m"], Tokens) },
            { "sglang-generate", DialectReplies.SglangGenerate("<think>Hm</think>46", Tokens) },
        };

    [Theory]
    [MemberData(nameof(Replies))]
    public void Read_MutatedReply_IsReadOrRefused(string dialect, string reply)
    {
        var whole = Utf8(reply);
        var random = new Random(20_261_122);
        var form = new ReplyForm(ListsEndOfSequence: true, OpensThinking: true);
        for (var round = 0; round < Rounds; round++)
        {
            var mutated = Mutate(whole, random);
            try
            {
                _ =
                    dialect == "sglang-generate"
                        ? SglangGenerateReader.Read(mutated, topLogprobs: 3, form)
                        : CompletionReader.Read(mutated, topLogprobs: 3, form);
            }
            catch (WireFormatException) { }
        }
    }

    static byte[] Mutate(byte[] whole, Random random)
    {
        List<byte> bytes = [.. whole];
        for (var i = random.Next(1, 4); i > 0; i--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 30), bytes.Count - at));
                    break;
                case 2:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 60), bytes.Count - at)));
                    break;
                case 3:
                    // In the place of a value: that is where shapes change.
                    var colon = bytes.IndexOf((byte)':', at);
                    var end = colon < 0 ? -1 : bytes.FindIndex(colon, b => b is (byte)',' or (byte)'}' or (byte)']');
                    if (end > colon)
                    {
                        bytes.RemoveRange(colon + 1, end - colon - 1);
                        bytes.InsertRange(colon + 1, Utf8(Splices[random.Next(Splices.Length)]));
                    }

                    break;
                default:
                    bytes.InsertRange(at, Utf8(Splices[random.Next(Splices.Length)]));
                    break;
            }
        }

        return [.. bytes];
    }
}

using System.Text;
using System.Text.Json;

namespace TraceDistill.TestServer;

/// <summary>Responses as servers write them.</summary>
public static class WireJson
{
    public const int EndOfSequence = 0;

    /// <summary>In the form of this project's server: ids, true bytes, the end of the sequence as the last token.</summary>
    public static string Completion(string text, int topLogprobs)
    {
        var ids = text.Select(c => (int)c).Append(EndOfSequence).ToArray();
        return JsonSerializer.Serialize(
            new
            {
                id = "chatcmpl-1",
                @object = "chat.completion",
                prompt_token_ids = new[] { 5, 6 },
                choices = new[]
                {
                    new
                    {
                        index = 0,
                        message = new { role = "assistant", content = text },
                        finish_reason = "stop",
                        token_ids = ids,
                        logprobs = topLogprobs == 0 ? null : new { content = ids.Select(id => Token(id, topLogprobs)).ToArray() },
                    },
                },
                usage = new { prompt_tokens = 2, completion_tokens = ids.Length },
            }
        );
    }

    /// <summary>One choice around the given <c>logprobs</c> value.</summary>
    public static string WithLogprobs(string logprobs, string message = """{"content":"a"}""", string choiceExtra = "") =>
        $$"""{"choices":[{"message":{{message}},"finish_reason":"stop","logprobs":{{logprobs}}{{choiceExtra}}}]}""";

    public static byte[] Utf8(string json) => Encoding.UTF8.GetBytes(json);

    static object Token(int id, int k) =>
        new
        {
            token = ((char)id).ToString(),
            logprob = Math.Log(0.7),
            bytes = new[] { id },
            id,
            top_logprobs = Enumerable
                .Range(0, Math.Min(k, 3))
                .Select(i => new
                {
                    token = "?",
                    logprob = Math.Log(0.7 / Math.Pow(4, i)),
                    bytes = new[] { id + i },
                    id = id + i,
                })
                .ToArray(),
        };
}

using System.Text.Json;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Text.Tests.Templates;

/// <summary>
/// Random conversations through the templates of published models and the embedded teacher's,
/// rendered here and by Hugging Face's own Jinja.
/// </summary>
public class ChatTemplatePeerTests
{
    /// <summary>Without QwQ and SmolLM3, in whose templates the peer ignores the argument of <c>lstrip('\n')</c>.</summary>
    static readonly string[] Templates =
    [
        "Qwen-Qwen2.5-7B-Instruct",
        "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
        "deepseek-ai-DeepSeek-V3.1",
        "meta-llama-Llama-3.1-8B-Instruct",
        "microsoft-Phi-3.5-mini-instruct",
    ];

    [Fact]
    public void Render_RandomConversations_GivesWhatHuggingFaceGives()
    {
        var published = Templates.Select(template => File.ReadAllText(TestPaths.SharedData($"chat-templates/{template}.jinja")));
        var embedded = Tokenizer.Load(Path.Combine(TestPaths.RepositoryRoot, "data", "teacher")).ChatTemplateSource!;
        var cases = published
            .Append(embedded)
            .SelectMany(source => Conversations(source.Length, 25).Select(messages => (Source: source, Messages: messages)))
            .ToList();
        var peer = Peer.Run(
            "jinja.js",
            cases.Select(item => new
            {
                source = item.Source,
                variables = new
                {
                    messages = item.Messages,
                    bos_token = "<s>",
                    eos_token = "</s>",
                    add_generation_prompt = item.Messages.Count % 2 == 1,
                },
            })
        );
        foreach (var (index, (source, messages)) in cases.Index())
        {
            var variables = new Dictionary<string, object?> { ["bos_token"] = "<s>", ["eos_token"] = "</s>" };
            Assert.Equal(
                peer[index].GetString(),
                ChatTemplate
                    .Parse(source, "template")
                    .Render(JsonSerializer.SerializeToElement(messages), messages.Count % 2 == 1, variables)
            );
        }
    }

    static IEnumerable<List<Dictionary<string, string>>> Conversations(int seed, int count)
    {
        var random = new Random(seed);
        // JavaScript and Python differ on whether these are white space; the recorded cases say what Python does.
        var texts = new Queue<string>(
            FuzzedText
                .Texts(seed, count * 10)
                .Select(text =>
                    string.Concat(text.Where(character => character is not ('\uFEFF' or '\u0085' or (>= '\u001C' and <= '\u001F'))))
                )
        );
        for (var i = 0; i < count; i++)
        {
            var messages = new List<Dictionary<string, string>>();
            if (random.Next(2) == 0)
            {
                messages.Add(Message("system"));
            }
            for (var turns = random.Next(1, 7); turns > 0; turns--)
            {
                messages.Add(Message(messages.Count > 0 && messages[^1]["role"] == "user" ? "assistant" : "user"));
            }
            yield return messages;
        }

        Dictionary<string, string> Message(string role) =>
            new()
            {
                ["role"] = role,
                ["content"] =
                    (role == "assistant" && random.Next(2) == 0 ? "<think>" + texts.Dequeue() + "</think>" : "") + texts.Dequeue(),
            };
    }
}

using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace TraceDistill.Tests.Support;

/// <summary>
/// A small tokenizer.json as transformers converts Llama 2's: byte fallback, marks in place of spaces, merges learned by counting.
/// </summary>
static class SentencePieceVocabulary
{
    static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public const string Legacy =
        """{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}""";

    public const string Decoder = """
        {"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},
          {"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}
        """;

    const string Template = """
        {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],
        "special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}}
        """;

    /// <summary>Learned once: counting pairs takes seconds.</summary>
    static readonly Lazy<string> Learned = new(() => Learn(FuzzedText.Texts(seed: 1, 1000)));

    public static void Write(string path) => File.WriteAllText(path, Learned.Value);

    static string Learn(IEnumerable<string> texts)
    {
        var words = texts
            .Select(text => text.Replace("<think>", "", StringComparison.Ordinal))
            .Select(text => $"▁{text.Replace(' ', '▁')}".EnumerateRunes().Select(rune => rune.ToString()).ToList())
            .ToList();
        List<string> tokens = ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>")];
        tokens.AddRange(
            words
                .SelectMany(word => word)
                .CountBy(character => character)
                .Where(pair => pair.Value > 3)
                .Select(pair => pair.Key)
                .Order(StringComparer.Ordinal)
        );
        var known = tokens.ToHashSet();
        var merges = new JsonArray();
        for (var i = 0; i < 300; i++)
        {
            var (left, right) = words
                .SelectMany(word => word.Zip(word.Skip(1)))
                .Where(pair => known.Contains(pair.First) && known.Contains(pair.Second))
                .CountBy(pair => pair)
                .OrderByDescending(pair => pair.Value)
                .ThenBy(pair => pair.Key.First + " " + pair.Key.Second, StringComparer.Ordinal)
                .First()
                .Key;
            merges.Add(new JsonArray(left, right));
            if (known.Add(left + right))
            {
                tokens.Add(left + right);
            }
            words.ForEach(word => Merge(word, left, right));
        }

        var added = new JsonArray();
        foreach (var (id, content) in tokens.Take(3).Index())
        {
            added.Add(
                new JsonObject
                {
                    ["id"] = id,
                    ["content"] = content,
                    ["single_word"] = false,
                    ["lstrip"] = false,
                    ["rstrip"] = false,
                    ["normalized"] = false,
                    ["special"] = true,
                }
            );
        }
        added.Add(
            new JsonObject
            {
                ["id"] = tokens.Count,
                ["content"] = "<think>",
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = true,
                ["special"] = false,
            }
        );
        var vocabulary = new JsonObject(tokens.Index().Select(token => KeyValuePair.Create(token.Item, (JsonNode?)token.Index)));
        var json = new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = added,
            ["normalizer"] = JsonNode.Parse(Legacy),
            ["pre_tokenizer"] = null,
            ["post_processor"] = JsonNode.Parse(Template),
            ["decoder"] = JsonNode.Parse(Decoder),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = "<unk>",
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = true,
                ["byte_fallback"] = true,
                ["ignore_merges"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = merges,
            },
        };
        return json.ToJsonString(Relaxed);
    }

    static void Merge(List<string> word, string left, string right)
    {
        for (var i = 0; i + 1 < word.Count; i++)
        {
            if (word[i] == left && word[i + 1] == right)
            {
                word[i] += right;
                word.RemoveAt(i + 1);
            }
        }
    }
}

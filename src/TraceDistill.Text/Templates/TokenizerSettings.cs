using System.Text.Json;
using TraceDistill.Text.Files;

namespace TraceDistill.Text.Templates;

/// <summary>Settings in the files beside <c>tokenizer.json</c>: the roles of special tokens and the chat template.</summary>
sealed record TokenizerSettings(
    string? BeginOfSequence,
    string? EndOfSequence,
    string? Padding,
    string? ChatTemplate,
    IReadOnlyList<int> GenerationEndIds
)
{
    /// <summary>The name of the file with most of them.</summary>
    public const string FileName = "tokenizer_config.json";

    /// <summary>A hundred times the longest template known.</summary>
    const int MostBytes = 16 << 20;

    /// <summary>
    /// Reads <c>tokenizer_config.json</c>, <c>chat_template.jinja</c> and <c>generation_config.json</c>, each if it is there.
    /// </summary>
    public static TokenizerSettings Read(string directory)
    {
        var settings = new TokenizerSettings(null, null, null, null, []);
        if (Existing(FileName) is { } config)
        {
            settings = settings with
            {
                BeginOfSequence = ReadToken(config.Find("bos_token")),
                EndOfSequence = ReadToken(config.Find("eos_token")),
                Padding = ReadToken(config.Find("pad_token")),
                ChatTemplate = ReadTemplate(config.Find("chat_template")),
            };
        }

        // Newer exports keep the template in a file of its own, which then counts.
        if (Path.Combine(directory, Templates.ChatTemplate.FileName) is var template && File.Exists(template))
        {
            settings = settings with { ChatTemplate = Utf8Text.ReadFile(template, MostBytes) };
        }

        if (Existing("generation_config.json")?.Find("eos_token_id") is { } ends)
        {
            settings = settings with { GenerationEndIds = ends.Integers() };
        }
        return settings;

        JsonField? Existing(string name) => Path.Combine(directory, name) is var file && File.Exists(file) ? JsonField.Read(file) : null;
    }

    /// <summary>A token is a string or an added token written out as an object.</summary>
    static string? ReadToken(JsonField? field) =>
        field is not { } token ? null
        : token.Kind == JsonValueKind.Object ? token["content"].Text()
        : token.Text();

    /// <summary>A template is a string or a list of named ones, of which <c>default</c> counts.</summary>
    static string? ReadTemplate(JsonField? field)
    {
        if (field is not { } template)
        {
            return null;
        }
        if (template.Kind != JsonValueKind.Array)
        {
            return template.Text();
        }
        foreach (var named in template.Items())
        {
            if (named["name"].Text() == "default")
            {
                return named["template"].Text();
            }
        }

        throw template.Wrong("a template or a list with one named \"default\"");
    }
}

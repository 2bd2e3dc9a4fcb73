using TraceDistill.Text.Files;

namespace TraceDistill.Text.Tokenizers;

/// <summary>Additions to encoded text: the <c>post_processor</c> field of tokenizer.json.</summary>
/// <param name="Prefix">Ids put before a text when special tokens are asked for.</param>
/// <param name="Suffix">Ids put after it.</param>
/// <param name="Trimming">Treatment of white space in offsets; null: it counts.</param>
sealed record PostProcessor(IReadOnlyList<int> Prefix, IReadOnlyList<int> Suffix, OffsetTrimming? Trimming)
{
    static readonly PostProcessor None = new([], [], null);

    public static PostProcessor Read(JsonField? field)
    {
        if (field is not { } processor)
        {
            return None;
        }
        var type = processor["type"];
        switch (type.Text())
        {
            case "ByteLevel":
                return None with { Trimming = ReadTrimming(processor) };
            case "BertProcessing":
                return new PostProcessor([ReadToken(processor["cls"])], [ReadToken(processor["sep"])], null);
            case "RobertaProcessing":
                return new PostProcessor([ReadToken(processor["cls"])], [ReadToken(processor["sep"])], ReadTrimming(processor));
            case "TemplateProcessing":
                return ReadTemplate(processor);
            case "Sequence":
                var parts = processor["processors"].Items().Select(part => Read(part)).ToList();
                return new PostProcessor(
                    [.. Enumerable.Reverse(parts).SelectMany(part => part.Prefix)],
                    [.. parts.SelectMany(part => part.Suffix)],
                    parts.Select(part => part.Trimming).FirstOrDefault(trimming => trimming is not null)
                );
            default:
                throw type.Unsupported($"a {type.Text()} post-processor");
        }
    }

    static OffsetTrimming? ReadTrimming(JsonField field) =>
        field.Boolean("trim_offsets", absent: true) ? new OffsetTrimming(field.Boolean("add_prefix_space", absent: true)) : null;

    /// <summary>A token as <c>["content", id]</c>.</summary>
    static int ReadToken(JsonField field) =>
        field.Items().ToArray() is [_, var id] ? id.Integer() : throw field.Wrong("a token and its id");

    static PostProcessor ReadTemplate(JsonField field)
    {
        List<int> prefix = [],
            suffix = [];
        var current = prefix;
        foreach (var item in field["single"].Items())
        {
            if (item.Find("SpecialToken") is { } special)
            {
                current.AddRange(field["special_tokens"][special["id"].Text()]["ids"].Items().Select(id => id.Integer()));
            }
            else if (item.Find("Sequence") is not null && current == prefix)
            {
                current = suffix;
            }
            else
            {
                throw item.Wrong("a SpecialToken or the only Sequence");
            }
        }

        return new PostProcessor(prefix, suffix, null);
    }
}

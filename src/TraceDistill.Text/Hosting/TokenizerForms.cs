using System.Text.Json.Nodes;

namespace TraceDistill.Text.Hosting;

/// <summary>Rewrites a tokenizer.json so that the library does what a <see cref="TokenizerForm"/> means.</summary>
static class TokenizerForms
{
    /// <param name="file">The content of a tokenizer.json.</param>
    /// <param name="form">The form wanted.</param>
    /// <param name="prepends">True where the file has anything put before texts.</param>
    public static string Write(ReadOnlySpan<byte> file, TokenizerForm form, out bool prepends)
    {
        var root = JsonNode.Parse(file)!.AsObject();

        // Settings of a batch: they would cut texts and add padding.
        root["truncation"] = null;
        root["padding"] = null;
        if (form != TokenizerForm.Published)
        {
            root["post_processor"] = null;
            foreach (var token in root["added_tokens"]?.AsArray() ?? [])
            {
                token!["special"] = false;
            }
        }

        // Taken from a copy where it is not wanted: whether there is anything is to be told all the same.
        var edited =
            form == TokenizerForm.Within
                ? root
                : new JsonObject
                {
                    ["normalizer"] = root["normalizer"]?.DeepClone(),
                    ["pre_tokenizer"] = root["pre_tokenizer"]?.DeepClone(),
                };
        prepends = false;
        edited["normalizer"] = WithoutPrepending(edited["normalizer"], ref prepends);
        edited["pre_tokenizer"] = WithoutPrepending(edited["pre_tokenizer"], ref prepends);
        return root.ToJsonString();
    }

    /// <returns>Null where nothing is left of the step.</returns>
    static JsonNode? WithoutPrepending(JsonNode? step, ref bool prepends)
    {
        if (step is not JsonObject fields)
        {
            return step?.DeepClone();
        }

        var result = fields.DeepClone().AsObject();
        switch ((string?)result["type"])
        {
            case "Prepend":
                prepends = true;
                return null;
            case "Metaspace":
                prepends |= (string?)result["prepend_scheme"] is { } scheme ? scheme != "never" : (bool?)result["add_prefix_space"] ?? true;
                result["prepend_scheme"] = "never";
                result.Remove("add_prefix_space");
                break;
            case "ByteLevel":
                prepends |= (bool?)result["add_prefix_space"] ?? true;
                result["add_prefix_space"] = false;
                break;
            case "Sequence":
                foreach (var name in new[] { "normalizers", "pretokenizers" })
                {
                    if (result[name] is JsonArray steps)
                    {
                        var kept = new JsonArray();
                        foreach (var inner in steps)
                        {
                            if (WithoutPrepending(inner, ref prepends) is { } left)
                            {
                                kept.Add(left);
                            }
                        }

                        result[name] = kept;
                    }
                }

                break;
        }

        return result;
    }
}

using System.Text.Json.Nodes;

namespace TraceDistill.Tests.Support;

/// <summary>Small <c>tokenizer.json</c> of kinds that are not read here.</summary>
static class HostedVocabularies
{
    /// <summary>Writes <c>tokenizer.json</c>, and the settings that name its end of sequence.</summary>
    public static void Write(TemporaryDirectory directory, JsonObject json, bool isIndented = false)
    {
        File.WriteAllText(directory.File("tokenizer.json"), json.ToJsonString(new() { WriteIndented = isIndented }));
        File.WriteAllText(
            directory.File("tokenizer_config.json"),
            json["model"]!["type"]!.GetValue<string>() == "Unigram" ? """{"eos_token":"</s>"}""" : """{"eos_token":"[SEP]"}"""
        );
    }

    public static JsonObject Unigram() =>
        WithAdded(
            """
            {"version":"1.0","truncation":null,"padding":null,"normalizer":null,
            "pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},
            "post_processor":{"type":"TemplateProcessing",
             "single":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],
            "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
            "special_tokens":{"</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]}}},
            "decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},
            "model":{"type":"Unigram","unk_id":0,"byte_fallback":false,"vocab":
            [["<unk>",0],["<s>",0],["</s>",0],["e",-6],["▁the",-2],["▁cat",-4],["▁",-1],["the",-3],["s",-5],["cat",-9]]}}
            """,
            "<unk>",
            "<s>",
            "</s>"
        );

    public static JsonObject WordPiece() =>
        WithAdded(
            """
            {"version":"1.0","truncation":null,"padding":null,
            "normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
            "pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]},
            "decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
            "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":
            {"[UNK]":0,"[CLS]":1,"[SEP]":2,"[PAD]":3,"the":4,"cat":5,"sat":6,".":7,",":8,"un":9,"##aff":10,"##able":11}}}
            """,
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[PAD]"
        );

    public static JsonObject WithAdded(string json, params string[] contents)
    {
        var result = JsonNode.Parse(json)!.AsObject();
        result["added_tokens"] = new JsonArray([.. contents.Select((content, id) => Added(id, content))]);
        return result;
    }

    public static JsonObject Added(int id, string content) =>
        new()
        {
            ["id"] = id,
            ["content"] = content,
            ["single_word"] = false,
            ["lstrip"] = false,
            ["rstrip"] = false,
            ["normalized"] = false,
            ["special"] = true,
        };
}

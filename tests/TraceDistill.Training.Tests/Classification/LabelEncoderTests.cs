using System.Text.Json.Nodes;
using TraceDistill.Data.Labels;
using TraceDistill.Models.Configuration;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.Spans;
using TraceDistill.Training.Classification;
using Xunit;

namespace TraceDistill.Training.Tests.Classification;

/// <summary>Texts in a classifier's tokens.</summary>
public sealed class LabelEncoderTests : IDisposable
{
    const string Text = "Tom has 4 pens, and Ann has 17 cups.";

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void LabelsOf_TokensAndSpans_GoByTheMostCharactersInCommon()
    {
        TextSpan[] tokens = [new(0, 3), new(3, 6), new(6, 10), new(10, 11)];

        var labels = LabelEncoder.LabelsOf(tokens, [new(4, 7, "a"), new(7, 10, "b")]);

        Assert.Equal(["O", "a", "b", "O"], labels);
    }

    /// <summary>As transformers does with truncation=True: the special tokens count, and stay.</summary>
    [Fact]
    public void Encode_TextThatIsTooLong_KeepsTheTokenBehindIt()
    {
        var tokenizer = Ending();
        var all = tokenizer.Encode(Text, addSpecialTokens: true);

        var cut = new LabelEncoder(tokenizer, LabelKind.Sequence, positions: 64, maxLength: 6).Encode(new LabelledText("a.jsonl:1", Text));

        Assert.Equal([.. all[..5], all[^1]], cut.Ids);
        Assert.Equal([5], cut.Rows);
    }

    [Fact]
    public void Encode_TokensOfATextThatIsTooLong_AreReadUpToTheCut()
    {
        var tokenizer = Ending();
        var all = tokenizer.EncodeWithSpans(Text, addSpecialTokens: true);

        var cut = new LabelEncoder(tokenizer, LabelKind.Token, positions: 64, maxLength: 6).Encode(new LabelledText("a.jsonl:1", Text));

        Assert.Equal([.. all.Ids.Take(5), all.Ids[^1]], cut.Ids);
        Assert.Equal([0, 1, 2, 3, 4], cut.Rows);
        Assert.Equal(all.Offsets.Take(5), cut.Offsets);
    }

    /// <summary>A special token that the text itself writes is a part of it.</summary>
    [Fact]
    public void Encode_TextThatEndsWithASpecialTokenOfItsOwn_KeepsTheOneBehindItAlone()
    {
        var tokenizer = Ending();
        var text = Text + "<|end|>";
        var all = tokenizer.Encode(text, addSpecialTokens: true);
        Assert.Equal(all[^2], all[^1]);

        var cut = new LabelEncoder(tokenizer, LabelKind.Sequence, positions: 64, maxLength: 6).Encode(new LabelledText("a.jsonl:1", text));

        Assert.Equal([.. all[..5], all[^1]], cut.Ids);
        Assert.True(cut.IsCut);
    }

    [Fact]
    public void Unread_SpansOfATextThatIsCut_AreThoseBehindIt()
    {
        var tokenizer = Ending();

        var cut = new LabelEncoder(tokenizer, LabelKind.Token, positions: 64, maxLength: 6).Encode(new LabelledText("a.jsonl:1", Text));
        var whole = new LabelEncoder(tokenizer, LabelKind.Token, positions: 64, maxLength: null).Encode(
            new LabelledText("a.jsonl:1", Text)
        );

        var end = cut.Offsets[^1].End;
        Assert.InRange(end, 5, Text.Length - 5);
        Assert.Equal(1, cut.Unread([new(0, 3, "a"), new(end - 1, end + 1, "b"), new(end, end + 2, "c")]));
        Assert.Equal(0, whole.Unread([new(Text.Length - 1, Text.Length, "d")]));
    }

    /// <summary>The embedded teacher's tokenizer, which puts a token behind each text.</summary>
    Tokenizer Ending()
    {
        var teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(teacher, "tokenizer.json")))!.AsObject();
        var end = Tokenizer.Load(teacher).Encode("<|end|>")[0];
        json["post_processor"] = JsonNode.Parse(
            $$$$"""
            {"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<|end|>","type_id":0}}],
             "pair":[],"special_tokens":{"<|end|>":{"id":"<|end|>","ids":[{{{{end}}}}],"tokens":["<|end|>"]}}}
            """
        );
        File.WriteAllText(_folder.File("tokenizer.json"), json.ToJsonString());
        File.Copy(Path.Combine(teacher, "tokenizer_config.json"), _folder.File("tokenizer_config.json"));
        var tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Equal(end, tokenizer.Encode(Text, addSpecialTokens: true)[^1]);
        return tokenizer;
    }
}

using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Chat;
using Xunit;

namespace TraceDistill.Teachers.Tests.Connector;

public sealed class StreamedReasoningTests
{
    public static TheoryData<string, bool, string, string> Generations =>
        new()
        {
            { "<think>a < b</think> so b", false, "a < b", "so b" },
            { "\n<think>\na\n</think>\n\nb", false, "a\n", "b" },
            { "a</think>b", true, "a", "b" },
            { "<think>a</think>b", true, "a", "b" },
            { "[THINK]a[/THINK]b", false, "a", "b" },
            { "no marks, 1 < 2", false, "", "no marks, 1 < 2" },
            { "<thin", false, "", "<thin" },
            { "<think>cut of", false, "cut of", "" },
            { "<think>a</think>b<think>c</think>d", false, "ac", "bd" },
            { "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", false, "a", "b" },
        };

    /// <summary>However the text is cut into pieces.</summary>
    [Theory]
    [MemberData(nameof(Generations))]
    public void Add_TextInPieces_IsParted(string text, bool isOpened, string reasoning, string answer)
    {
        for (var size = 1; size <= text.Length; size++)
        {
            Assert.Equal((reasoning, answer), Read(text.Chunk(size).Select(piece => new string(piece)), isOpened, WholeOf(text, isOpened)));
        }
    }

    /// <summary>White space around the parts aside, which a stream cannot know to be at an end.</summary>
    [Property(MaxTest = 300)]
    public Property Add_AnyText_EndsUpAsTheWholeIsParted()
    {
        var pieces = Gen.Elements("<think>", "</think>", "<", "</th", "ink>", "a", " b", "[THINK]", "\n")
            .ArrayOf()
            .Select(list => list.Prepend("<think>").ToArray());
        return Prop.ForAll(pieces.ToArbitrary(), list =>
        {
            var whole = WholeOf(string.Concat(list), isOpened: false);
            var (reasoning, answer) = Read(list, isOpened: false, whole);
            return Letters(reasoning) == Letters(whole.Reasoning) && Letters(answer) == Letters(whole.Answer);
        });
    }

    [Fact]
    public void Add_ServerThatTellsTheReasoningApart_LeavesTheAnswerAsItIs()
    {
        var (reasoning, answer) = ("", "");
        var reader = new StreamedReasoning(markers: null, isOpened: true, text =>
            (reasoning, answer) = (reasoning + text.Reasoning, answer + text.Content)
        );

        reader.Add(new StreamedText(Content: null, "a"));
        reader.Add(new StreamedText("the mark <think> opens", Reasoning: null));

        Assert.Equal(("a", "the mark <think> opens"), (reasoning, answer));
    }

    [Fact]
    public void Add_TextThatNoMarkBeginsWith_IsToldAtOnce()
    {
        var told = new List<string?>();
        var reader = new StreamedReasoning(markers: null, isOpened: false, text => told.Add(text.Content));

        reader.Add(new StreamedText("The ", Reasoning: null));
        reader.Add(new StreamedText("sum", Reasoning: null));

        Assert.Equal(["The ", "sum"], told);
    }

    static (string Reasoning, string Answer) Read(IEnumerable<string> pieces, bool isOpened, GenerationResult whole)
    {
        var (reasoning, answer) = ("", "");
        var reader = new StreamedReasoning(markers: null, isOpened, text =>
            (reasoning, answer) = (reasoning + text.Reasoning, answer + text.Content)
        );
        foreach (var piece in pieces)
        {
            reader.Add(new StreamedText(piece, Reasoning: null));
        }

        reader.End(whole);
        return (reasoning, answer);
    }

    static GenerationResult WholeOf(string text, bool isOpened)
    {
        var (reasoning, answer) = ReasoningSplitter.Split(text, isOpened);
        return new GenerationResult
        {
            Reasoning = reasoning,
            Answer = answer,
            Text = text,
            FinishReason = "stop",
        };
    }

    static string Letters(string text) => string.Concat(text.Where(c => !char.IsWhiteSpace(c)));
}

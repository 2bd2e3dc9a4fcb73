using TraceDistill.Data.Pictures;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Traces;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Tests.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Alignment;

public class ProblemPicturesTests
{
    static readonly PictureEncoderSettings Shape = new()
    {
        Height = 8,
        Width = 8,
        PatchHeight = 4,
        PatchWidth = 4,
        HiddenSize = 8,
        NumHiddenLayers = 1,
        NumAttentionHeads = 2,
        IntermediateSize = 8,
    };

    /// <summary>An example before the question may be the same question.</summary>
    [Fact]
    public void Ask_TextThatIsThereTwice_HasThePictureInPlaceOfTheLast()
    {
        var pictures = Of("1+1?");

        var asked = pictures.Ask(TraceOf("Such as 1+1? is 2. Now: 1+1? Think."));

        Assert.Equal($"Such as 1+1? is 2. Now: {Picture.Place} Think.", asked.Messages.Single().Content);
        Assert.Empty(asked.PromptTokenIds);
    }

    [Fact]
    public void Ask_PromptWithoutTheText_IsRefusedByName()
    {
        var error = Assert.Throws<InvalidInputException>(() => Of("1+1?").Ask(TraceOf("2+2?")));

        Assert.StartsWith("problems.jsonl: the prompt of trace a-0 does not have the text of problem a in it", error.Message);
    }

    static ProblemPictures Of(string text)
    {
        var pictures = new ProblemPictures(Shape, "problems.jsonl");
        pictures.Add(
            new Problem
            {
                Id = "a",
                Text = text,
                Answer = "2",
                Family = "sums",
                Picture = "a.png",
            }
        );
        return pictures;
    }

    static Trace TraceOf(string prompt)
    {
        using var folder = new TraceFolder();
        return folder.Create(1) with { Id = "a-0", ProblemId = "a", Messages = [new ChatMessage("user", prompt)], PromptTokenIds = [1, 2] };
    }
}

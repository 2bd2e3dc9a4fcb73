using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Prompts;

public sealed class TaskDescriptionTests : IDisposable
{
    static readonly TaskPrompt Plain = new("Some/Plain", 1, "<message role=\"user\">{{$problem}}</message>", "{}");

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Load_WhatWasSaved_IsTheSame()
    {
        var task = new TaskDescription
        {
            Prompts = [Plain, Plain with { Name = "Other", Weight = 2 }],
            System = "Be brief.",
            FewShot = new TaskExamples(
                1,
                [
                    new Problem
                    {
                        Id = "a",
                        Text = "1 + 1 <ü>",
                        Answer = "2",
                        Solution = "two",
                        Family = "f",
                    },
                ]
            ),
            ExtraBody = """{"chat_template_kwargs":{"enable_thinking":false},"min_p":0.1}""",
            MaxTokens = 8192,
        };

        task.Save(_folder.Path);
        var read = TaskDescription.Load(_folder.Path)!;

        Assert.Equal(task.Prompts, read.Prompts);
        Assert.Equivalent(task.FewShot.Solved, read.FewShot!.Solved, strict: true);
        Assert.Equal((task.System, task.ExtraBody, task.MaxTokens), (read.System, read.ExtraBody, read.MaxTokens));
        Assert.True(read.IsPutAs(task));
        Assert.Equal("""{"chat_template_kwargs":{"enable_thinking":false}}""", read.ChatTemplateSettings());
        Assert.Equal(
            """Some/Plain: 1, Other: 2, with a system message, with 1 examples, with "chat_template_kwargs":{"enable_thinking":false}""",
            read.Describe()
        );
    }

    [Fact]
    public void IsPutAs_TellsWordsApartAndNotNamesOrLengths()
    {
        var task = new TaskDescription { Prompts = [Plain], MaxTokens = 10 };

        Assert.True(
            task.IsPutAs(
                task with
                {
                    Prompts = [Plain with { Name = "elsewhere/copy", Weight = 3 }],
                    MaxTokens = 20,
                    ExtraBody = """{"min_p":0.1}""",
                }
            )
        );
        Assert.False(task.IsPutAs(task with { Prompts = [Plain with { Template = Plain.Template + " " }] }));
        Assert.False(task.IsPutAs(task with { System = "Be brief." }));
        Assert.False(task.IsPutAs(task with { ExtraBody = """{"chat_template_kwargs":{"enable_thinking":false}}""" }));
    }

    [Fact]
    public void OfTraces_FolderOfAnOlderVersion_TakesThePromptThatTheManifestNames()
    {
        var dataset = new DatasetDescription
        {
            Teacher = "t",
            TokenIdentity = TokenIdentity.Ids,
            PromptFunction = "Reasoning/SolveBoxed",
        };

        Assert.Contains(@"\boxed{}", TaskDescription.OfTraces(_folder.Path, dataset)!.Prompts.Single().Template);
        Assert.Null(TaskDescription.OfTraces(_folder.Path, dataset with { PromptFunction = "No/Such" }));
        Assert.Null(TaskDescription.OfTraces(_folder.Path, dataset with { PromptFunction = null }));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("""{"prompts": []}""")]
    [InlineData("""{"system": "x"}""")]
    public void Load_DamagedFile_IsRefusedByName(string text)
    {
        File.WriteAllText(_folder.File(TaskDescription.FileName), text);

        var error = Assert.Throws<InvalidInputException>(() => TaskDescription.Load(_folder.Path));

        Assert.StartsWith($"{_folder.File(TaskDescription.FileName)}: not the description of a task", error.Message);
    }
}

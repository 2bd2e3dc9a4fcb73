using TraceDistill.Data.Prompts;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Prompts;

public sealed class PromptLibraryTests
{
    [Fact]
    public void Names_OfTheShippedPrompts_AreThere() =>
        Assert.Equal(
            ["Privileged/Answer", "Privileged/Solution", "Reasoning/Solve", "Reasoning/SolveBoxed", "Synthesis/Invent"],
            new PromptLibrary(Path.Combine(AppContext.BaseDirectory, "prompts")).Names
        );

    [Fact]
    public void Load_ReadsBothFiles()
    {
        using var folder = new TemporaryDirectory();
        Write(folder, "Math/Prove", "T", "{}");

        var prompt = new PromptLibrary(folder.Path).Load("Math/Prove");

        Assert.Equal(("Math/Prove", "T", "{}"), (prompt.Name, prompt.Template, prompt.Config));
        Assert.EndsWith(Path.Combine("Math", "Prove", "skprompt.txt"), prompt.TemplatePath);
    }

    [Fact]
    public void Load_SameNameInTwoFolders_TakesTheFirst()
    {
        using var own = new TemporaryDirectory();
        using var shipped = new TemporaryDirectory();
        Write(own, "A/B", "own", "{}");
        Write(shipped, "A/B", "shipped", "{}");
        Write(shipped, "A/C", "shipped", "{}");

        var library = new PromptLibrary(own.Path, shipped.Path);

        Assert.Equal(["A/B", "A/C"], library.Names);
        Assert.Equal("own", library.Load("A/B").Template);
        Assert.Equal("shipped", library.Load("A/C").Template);
    }

    [Theory]
    [InlineData("A/X", "did you mean \"A/B\"?")]
    [InlineData("Elsewhere", "known: A/B, A/C")]
    [InlineData("../A/B", "known: A/B, A/C")]
    public void Load_UnknownName_TellsTheNearestOrWhatThereIs(string name, string told)
    {
        using var folder = new TemporaryDirectory();
        Write(folder, "A/B", "T", "{}");
        Write(folder, "A/C", "T", "{}");

        var error = Assert.Throws<InvalidInputException>(() => new PromptLibrary(folder.Path).Load(name));

        Assert.Contains($"there is no prompt \"{name}\"", error.Message);
        Assert.EndsWith(told, error.Message);
    }

    [Fact]
    public void Load_NoFolderAtAll_SaysSo() =>
        Assert.Contains(
            "there is none",
            Assert.Throws<InvalidInputException>(() => new PromptLibrary("no-such-folder").Load("A/B")).Message
        );

    [Theory]
    [InlineData("T", null, "config.json", "missing")]
    [InlineData(" \n", "{}", "skprompt.txt", "empty")]
    public void Load_IncompletePrompt_NamesPromptAndFile(string template, string? config, string file, string what)
    {
        using var folder = new TemporaryDirectory();
        Write(folder, "A/B", template, config);

        var error = Assert.Throws<InvalidInputException>(() => new PromptLibrary(folder.Path).Load("A/B"));

        Assert.Contains(Path.Combine(folder.Path, "A/B", file), error.Message);
        Assert.Contains("prompt A/B", error.Message);
        Assert.Contains(what, error.Message);
    }

    static void Write(TemporaryDirectory folder, string name, string template, string? config)
    {
        var path = Directory.CreateDirectory(Path.Combine(folder.Path, name)).FullName;
        File.WriteAllText(Path.Combine(path, "skprompt.txt"), template);
        if (config is not null)
        {
            File.WriteAllText(Path.Combine(path, "config.json"), config);
        }
    }
}

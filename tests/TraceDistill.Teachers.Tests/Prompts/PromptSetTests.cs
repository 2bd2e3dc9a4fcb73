using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using TraceDistill.Data.Problems;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Prompts;

public sealed class PromptSetTests
{
    static readonly GenerateOptions Options = new()
    {
        Problems = "p.jsonl",
        Endpoint = "http://host/v1",
        Model = "m",
        Seed = 5,
    };
    static readonly GenerateOptions Weighted = Options with
    {
        Prompts = new Dictionary<string, double> { ["Reasoning/Solve"] = 2, ["Reasoning/SolveBoxed"] = 1 },
    };

    [Fact]
    public async Task Messages_WithWeights_AreChosenByThemAndAlwaysTheSame()
    {
        var set = await PromptSet.CreateAsync(Weighted, TestTeacher.Token);
        bool IsBoxed(int problem, int sample) =>
            set.For(Of(problem)).Messages(sample).Single().Content.Contains("boxed", StringComparison.Ordinal);

        var boxed = Enumerable.Range(0, 3000).Select(i => IsBoxed(i / 3, i % 3)).ToArray();

        // Binomial with mean 1000 and deviation 26.
        Assert.InRange(boxed.Count(isBoxed => isBoxed), 870, 1130);
        Assert.Equal(boxed, Enumerable.Range(0, 3000).Select(i => IsBoxed(i / 3, i % 3)));
        Assert.Contains(Enumerable.Range(0, 20), problem => IsBoxed(problem, 0) != IsBoxed(problem, 1));
        Assert.Equal("Reasoning/Solve: 2, Reasoning/SolveBoxed: 1", set.Name);
    }

    [Fact]
    public async Task Messages_OfASinglePrompt_AreThePromptsOwn()
    {
        var set = await PromptSet.CreateAsync(Options, TestTeacher.Token);

        Assert.Equal("Reasoning/Solve", set.Name);
        Assert.Equal([new ChatMessage("user", "What is 3 + 1?")], set.For(Of(3)).Messages(7));
    }

    [Fact]
    public async Task Messages_WithSystemAndExamples_ShowOthersSolutionsBeforeTheProblem()
    {
        using var folder = new TemporaryDirectory();
        var file = folder.File("solved.jsonl");
        File.WriteAllLines(
            file,
            Enumerable
                .Range(0, 6)
                .Select(i =>
                    JsonSerializer.Serialize(
                        new
                        {
                            id = $"p{i}",
                            problem = Of(i).Text,
                            solution = $"one more than {i}",
                            answer = $"{i + 1}",
                        }
                    )
                )
        );
        var set = await PromptSet.CreateAsync(Options with { System = "Be brief.", FewShot = file, FewShotCount = 2 }, TestTeacher.Token);

        var shown = new HashSet<string>();
        for (var problem = 0; problem < 6; problem++)
        {
            var messages = set.For(Of(problem)).Messages(0);
            Assert.Equal(["system", "user", "assistant", "user", "assistant", "user"], messages.Select(message => message.Role));
            Assert.Equal(("Be brief.", Of(problem).Text), (messages[0].Content, messages[^1].Content));
            Assert.Equal(3, messages.Where(message => message.Role == "user").Select(message => message.Content).Distinct().Count());
            var example = int.Parse(messages[1].Content["What is ".Length..].Split(' ')[0]);
            Assert.Equal($"one more than {example}\n\n\\boxed{{{example + 1}}}", messages[2].Content);
            shown.UnionWith(messages.Skip(1).SkipLast(1).Select(message => message.Content));
            Assert.Equal(messages, set.For(Of(problem)).Messages(1));
        }

        Assert.True(shown.Count > 6, "problems do not all have the same examples");
        Assert.Contains(
            "few_shot",
            (
                await Assert.ThrowsAsync<InvalidInputException>(() =>
                    PromptSet.CreateAsync(Options with { FewShot = file, FewShotCount = 5 }, TestTeacher.Token)
                )
            ).Message
        );
    }

    [Fact]
    public async Task Messages_ExamplesWithOtherFieldNames_AreReadByThoseOfTheProblems()
    {
        using var folder = new TemporaryDirectory();
        var file = folder.File("solved.jsonl");
        var records = Enumerable
            .Range(0, 3)
            .Select(i => new
            {
                Stem = Of(i).Text,
                Key = $"{i + 1}",
                Worked = "count on",
            });
        File.WriteAllLines(file, records.Select(record => JsonSerializer.Serialize(record)));
        var options = Options with
        {
            FewShot = file,
            FewShotCount = 1,
            ProblemField = ["Stem"],
            AnswerField = "Key",
            SolutionField = "Worked",
        };

        var messages = (await PromptSet.CreateAsync(options, TestTeacher.Token)).For(Of(7)).Messages(0);

        Assert.Matches(@"^count on\n\n\\boxed\{[123]\}$", messages[1].Content);
        Assert.Equal(3, (await PromptSet.TaskOfAsync(options, TestTeacher.Token)).FewShot!.Solved.Count);
        var misnamed = await Assert.ThrowsAsync<InvalidInputException>(() =>
            PromptSet.CreateAsync(options with { ProblemField = ["Question"] }, TestTeacher.Token)
        );
        Assert.Contains("solved.jsonl, line 1: has no field 'Question' (problem_field); it has Stem, Key, Worked", misnamed.Message);
    }

    [Fact]
    public async Task CreateAsync_FolderOfTheUsers_IsFoundByItsPath()
    {
        using var folder = new TemporaryDirectory();
        var prompt = Directory.CreateDirectory(folder.File("mine/Ask")).FullName;
        File.WriteAllText(
            Path.Combine(prompt, "skprompt.txt"),
            "<message role=\"system\">You count.</message><message role=\"user\">{{$problem}} Count.</message>"
        );
        File.WriteAllText(Path.Combine(prompt, "config.json"), """{"input_variables":[{"name":"problem"}]}""");

        var set = await PromptSet.CreateAsync(Options with { Prompt = prompt }, TestTeacher.Token);

        Assert.Equal("mine/Ask", set.Name);
        Assert.Equal("What is 3 + 1? Count.", set.For(Of(3)).Messages(0)[1].Content);
        Assert.Contains(
            "mine/Ask has a system message",
            (
                await Assert.ThrowsAsync<InvalidInputException>(() =>
                    PromptSet.CreateAsync(Options with { Prompt = prompt, System = "x" }, TestTeacher.Token)
                )
            ).Message
        );
        Assert.Contains(
            "skprompt.txt",
            Assert.Throws<InvalidInputException>(() => Data.Prompts.PromptLibrary.Default.Load(folder.Path)).Message
        );
    }

    [Theory]
    [InlineData("Reasoning/Solve", 0)]
    [InlineData("Reasoning/Solve", double.NaN)]
    [InlineData("Reasoning/Sovle", 1)]
    public void Validate_PromptsThatCannotBeUsed_AreNamed(string name, double weight)
    {
        var options = Options with { Prompts = new Dictionary<string, double> { [name] = weight } };

        var problem = Assert.Single(options.Validate(new ValidationContext(options)));

        Assert.Equal(["Prompts"], problem.MemberNames);
        Assert.Contains(name, problem.ErrorMessage);
    }

    static Problem Of(int i) =>
        new()
        {
            Id = $"p{i}",
            Text = $"What is {i} + 1?",
            Answer = $"{i + 1}",
            Family = "test",
        };
}

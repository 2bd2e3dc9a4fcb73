using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Pictures;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Evaluation.Tests;

/// <summary>Models that are asked by the pictures of problems.</summary>
public sealed class PictureProblemsTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    /// <summary>Answers of a picture are kept under the picture's content: another one is asked for anew, another name is not.</summary>
    [Fact]
    public async Task Evaluate_ModelAskedByPictures_IsGivenThemAndAskedAgainWhereTheyChange()
    {
        var first = Write("first.png", 1);
        var asked = await EvaluateAsync(first);
        Assert.Equal([$"ask: {Picture.Place}"], asked.Select(request => request.Messages[^1].Content));
        Assert.Equal([first], asked.Select(request => request.Picture));

        Assert.Empty(await EvaluateAsync(Write("renamed.png", 1)));

        await Assert.ThrowsAsync<InvalidInputException>(() => EvaluateAsync(Write("other.png", 2)));
    }

    [Fact]
    public async Task Evaluate_ProblemWithoutAPicture_IsRefused()
    {
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => EvaluateAsync(null));

        Assert.StartsWith("student: looks at pictures, and problem p has none: give each problem one in the field picture", error.Message);
    }

    public void Dispose() => _folder.Dispose();

    string Write(string name, byte pixel)
    {
        File.WriteAllBytes(_folder.File(name), PictureFile.ToPng(new Picture(1, 2, 2, [pixel, 2, 3, 4])));
        return _folder.File(name);
    }

    /// <returns>The requests that the model was given.</returns>
    async Task<List<GenerationRequest>> EvaluateAsync(string? picture)
    {
        var requests = new List<GenerationRequest>();
        var answers = Directory.CreateDirectory(_folder.File("answers")).FullName;
        var options = new EvaluateOptions { Problems = "held_out.jsonl" };
        var evaluator = new Evaluator(options, MathVerifier.Instance, answers, SilentObserver.Instance, TimeProvider.System);
        var model = new EvaluatedModel
        {
            Name = "student",
            Generator = new ScriptedModel(request =>
            {
                requests.Add(request);
                return "2";
            }),
            Asked = new AskedAs("plain", (problem, _) => [new ChatMessage("user", $"ask: {problem.ByPicture().Text}")], 512)
            {
                ByPicture = true,
            },
        };
        var problem = new Problem
        {
            Id = "p",
            Text = "1+1?",
            Answer = "2",
            Family = "sums",
            Picture = picture,
        };
        await evaluator.EvaluateAsync(
            new[] { model }.ToAsyncEnumerable(),
            [problem],
            cancellationToken: TestContext.Current.CancellationToken
        );
        return requests;
    }
}

using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Tests.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests;

public sealed class TraceSetTests : TrainStageCase
{
    /// <summary>The teachers have vocabularies of their own; the second one's few traces come again and again.</summary>
    [Fact]
    public async Task RunAsync_SeveralDataSetsWithWeights_LearnsFromEachByItsShareOfTheTokens()
    {
        using var other = new TraceFolder("and are and are", 262);
        await Folder.WriteAsync(Enumerable.Range(1, 40).Select(Folder.Create));
        await other.WriteAsync(Enumerable.Range(1, 5).Select(other.Create));
        var (observer, stop) = (new RecordingObserver(), new CancellationTokenSource());
        var options = Options with
        {
            Traces = [new TraceSet { Path = Folder.Path, Weight = 3 }, new TraceSet { Path = other.Path, Weight = 1 }],
            NumTrainEpochs = 2,
        };

        var summary = await TrainStage.RunAsync(options, Folder.Out("whole"), observer, TestContext.Current.CancellationToken);

        Assert.Equal(45, summary.Sequences);
        Assert.InRange(summary.AlignedMass!.Value, 0.1, 1);
        Assert.Contains(observer.Messages, line => line.StartsWith($"{other.Path}: chat template: ", StringComparison.Ordinal));
        Assert.Matches(
            $"{Folder.Path}: 75.0.% of the tokens, gone through 0\\.[678]\\d? times an epoch",
            string.Join('\n', observer.Messages)
        );
        Assert.Matches(
            $"{other.Path}: 25.0.% of the tokens, gone through \\d+(\\.\\d+)? times an epoch",
            string.Join('\n', observer.Messages)
        );
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(4, stop), stop.Token)
        );
        Assert.Equal(summary, await RunAsync(options, "resumed"));
        Assert.NotEqual(summary.Loss, (await RunAsync(options with { Traces = [Folder.Path, other.Path] }, "as they are")).Loss);
        stop.Dispose();
    }

    [Fact]
    public async Task RunAsync_ADataSetWithNothingLeft_IsRefusedByItsName()
    {
        using var other = new TraceFolder();
        await Folder.WriteAsync([Folder.Create(1)]);
        await other.WriteAsync([other.Create(2) with { FinishReason = "length" }]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(Options with { Traces = [Folder.Path, other.Path] }, "none")
        );

        Assert.StartsWith($"{other.Path}: nothing to train on", error.Message);
    }

    [Fact]
    public void Validate_DataSetsThatCannotBe_AreRefused()
    {
        Assert.Null(Refused("a", "b"));
        Assert.Null(Refused(new TraceSet { Path = "a", Weight = 0.2 }, new TraceSet { Path = "b", Weight = 5 }));
        Assert.Equal("a/ is listed 2 times; give it a larger weight instead", Refused("a/", "b", "a"));
        Assert.Equal(
            "b has a weight and a has none; give every data set one, or none",
            Refused("a", new TraceSet { Path = "b", Weight = 1 })
        );

        string? Refused(params TraceSet[] sets)
        {
            var options = Options with { Traces = sets };
            return options.Validate(new ValidationContext(options)).SingleOrDefault()?.ErrorMessage;
        }
    }
}

using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Tests.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests;

public sealed class FrozenSelectionTests : TrainStageCase
{
    [Fact]
    public async Task RunAsync_FrozenParameters_StayAsTheyAreAndTheOthersDoNot()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "base");

        var summary = await RunAsync(
            Tuned with
            {
                Optim = OptimizerKind.Muon,
                FrozenParameters = ["embed_tokens", @"^model\.layers\.0\.", "[kv]_proj", "norm"],
            },
            "tuned"
        );

        using var before = ModelDirectory.Load(Folder.Out("base"));
        using var after = ModelDirectory.Load(Folder.Out("tuned"));
        string[] trained = [.. before.Names.Where(name => !before.Values(name).SequenceEqual(after.Values(name)))];
        Assert.Equal(
            new[] { "self_attn.q", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down" }.Select(part => $"model.layers.1.{part}_proj.weight"),
            trained
        );
        Assert.Equal(trained.Sum(name => before.Values(name).Length), summary.TrainedParameters);
    }

    [Theory]
    [InlineData("embed_tokns", "frozen_parameters: no parameter's name has \"embed_tokns\" in it; did you mean \"embed_tokens\"?")]
    [InlineData("^layers", "frozen_parameters: no parameter's name has \"^layers\" in it; did you mean \"layers\"?")]
    [InlineData("model", "frozen_parameters: every parameter of the model is frozen; leave some trainable")]
    public async Task RunAsync_FrozenParametersThatCannotBe_AreRefusedByName(string pattern, string message)
    {
        await Folder.WriteAsync([Folder.Create(1)]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options with { FrozenParameters = [pattern] }, "none"));

        Assert.Equal(message, error.Message);
    }
}

using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Options;
using TraceDistill.Evaluation;
using TraceDistill.Training;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Cli.Tests.Recipes;

public class GpuPoolTests
{
    static readonly PlannedStage First = Training("first", "auto"),
        Second = Training("second", "cuda"),
        Third = Training("third", "auto");

    [Fact]
    public void Shortage_MoreStagesThanGpus_LacksOne()
    {
        var pool = new GpuPool(["0", "1"]);

        Assert.Null(pool.Shortage(Second, [First]));
        Assert.Equal("a GPU: all 2 are in use", pool.Shortage(Third, [First, Second]));
        Assert.Equal("a GPU: the one here is in use", new GpuPool(["5"]).Shortage(Second, [First]));
    }

    [Theory]
    [InlineData("cpu")]
    [InlineData("cuda:1")] // is not there
    public void Shortage_StageOnNoGpuOfThePool_LacksNothingAndTakesNone(string device)
    {
        var (pool, stage) = (new GpuPool(["0"]), Training("said", device));

        Assert.Null(pool.Shortage(stage, [First]));
        Assert.Null(pool.Shortage(First, [stage]));
        Assert.Null(pool.Take(stage));
    }

    [Fact]
    public void Shortage_StagesThatNameOneGpu_RunOneAfterTheOther()
    {
        var (pool, one, same, other) = (
            new GpuPool(["4", "5"]),
            Training("one", "cuda:1"),
            Training("same", "cuda:1"),
            Training("other", "cuda:0")
        );

        Assert.Null(pool.Shortage(one, []));
        Assert.Equal("its GPU, cuda:1, which another stage uses", pool.Shortage(same, [one]));
        Assert.Null(pool.Shortage(other, [one]));
    }

    /// <summary>All are asked about before the first of them has taken its GPU.</summary>
    [Fact]
    public void Shortage_StageThatNamesTheOneGpuOfAnother_Waits() =>
        Assert.Equal("its GPU, cuda:0, which another stage uses", new GpuPool(["0"]).Shortage(Training("named", "cuda:0"), [First]));

    [Fact]
    public void Take_GpuThatAFinishedStageNamed_IsFreeAgain()
    {
        var (pool, done, running) = (new GpuPool(["4", "5"]), Training("done", "cuda:1"), Training("running", "cuda:0"));

        Assert.Null(pool.Shortage(done, []));
        Assert.Null(pool.Shortage(running, [done]));
        Assert.Null(pool.Shortage(First, [running]));

        Assert.Equal("5", pool.Take(First));
    }

    [Fact]
    public void Take_GpuThatAStageNames_IsLeftToIt()
    {
        var (pool, named) = (new GpuPool(["4", "5"]), Training("named", "cuda:0"));

        Assert.Null(pool.Shortage(named, []));
        Assert.Null(pool.Shortage(First, [named]));
        Assert.Equal("5", pool.Take(First));
        Assert.Equal("a GPU: all 2 are in use", pool.Shortage(Second, [named, First]));
        Assert.Equal("4", pool.Take(Second)); // were it started nevertheless
        Assert.Equal("its GPU, cuda:0, which another stage uses", pool.Shortage(named, [First, Second]));
    }

    /// <summary>The student on any GPU, which is the first one for a process that sees all of them, and the teacher on the
    /// second.</summary>
    [Fact]
    public void Shortage_TeacherOnAGpuOfItsOwn_NeedsThatOneToo()
    {
        var taught = Taught("auto", "cuda:1");
        var pool = new GpuPool(["4", "5", "6"]);

        Assert.Null(pool.Shortage(taught, []));
        Assert.Null(pool.Take(taught)); // it sees all of them
        Assert.Equal("its GPU, cuda:1, which another stage uses", pool.Shortage(Training("named", "cuda:1"), [taught]));
        Assert.Equal("its GPU, cuda:0, which another stage uses", pool.Shortage(Training("named", "cuda:0"), [taught]));
        Assert.Equal("its GPUs, cuda:0 and cuda:1, one of which another stage uses", pool.Shortage(taught, [Training("named", "cuda:0")]));
        Assert.Null(pool.Shortage(First, [taught]));
        Assert.Equal("6", pool.Take(First));
        Assert.Equal("a GPU: all 3 are in use", pool.Shortage(Third, [taught, First]));
    }

    /// <summary>A teacher on the student's GPU needs no other one; one on any GPU beside a student on the CPU is placed.</summary>
    [Theory]
    [InlineData("auto", "auto")]
    [InlineData("auto", "cuda")]
    [InlineData("cpu", "cuda")]
    public void Take_TeacherThatNamesNoGpu_GivesTheStageOne(string device, string teacher) =>
        Assert.Equal("4", new GpuPool(["4", "5"]).Take(Taught(device, teacher)));

    [Fact]
    public void Shortage_NoGpu_LacksNothing() => Assert.Null(new GpuPool([]).Shortage(Second, [First]));

    [Fact]
    public void Take_OneAfterTheOther_GivesEachAGpuOfItsOwn()
    {
        var pool = new GpuPool(["2", "GPU-7f"]);
        var evaluation = SampleStages.Of(
            new CountVerb(),
            new EvaluateOptions { Problems = "problems.jsonl", Model = "student" },
            "scores",
            []
        );

        Assert.Equal(["2", "GPU-7f", null], new[] { pool.Take(First), pool.Take(evaluation), pool.Take(Third) });

        pool.Return("GPU-7f");
        Assert.Equal("GPU-7f", pool.Take(Third));
    }

    static PlannedStage Taught(string device, string teacher) =>
        SampleStages.Of(
            new CountVerb(),
            new TrainOptions
            {
                Device = DeviceChoice.Parse(device, null),
                Teacher = "teacher",
                TeacherDevice = DeviceChoice.Parse(teacher, null),
            },
            "taught",
            []
        );

    static PlannedStage Training(string name, string device) =>
        SampleStages.Of(new CountVerb(), new OptimizationOptions { Device = DeviceChoice.Parse(device, null) }, name, []);
}

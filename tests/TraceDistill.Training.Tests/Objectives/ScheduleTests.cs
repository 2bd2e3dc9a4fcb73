using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Objectives;

public class ScheduleTests
{
    [Theory]
    [InlineData(ScheduleKind.Constant, 0, 0.9)]
    [InlineData(ScheduleKind.Constant, 100, 0.9)]
    [InlineData(ScheduleKind.Linear, 0, 0.9)]
    [InlineData(ScheduleKind.Linear, 50, 0.7)]
    [InlineData(ScheduleKind.Linear, 100, 0.5)]
    [InlineData(ScheduleKind.Cosine, 25, 0.8414213562)] // 0.5 + 0.4 · (1 + cos 45°) / 2
    [InlineData(ScheduleKind.Cosine, 50, 0.7)]
    [InlineData(ScheduleKind.Cosine, 100, 0.5)]
    [InlineData(ScheduleKind.Step, 29, 0.9)]
    [InlineData(ScheduleKind.Step, 30, 0.5)]
    public void ValueAt_EveryKind_FollowsItsCourse(ScheduleKind kind, long step, double expected) =>
        Assert.Equal(
            expected,
            new Schedule
            {
                Kind = kind,
                From = 0.9,
                To = 0.5,
                At = 0.3,
            }.ValueAt(step, 101),
            1e-9
        );

    [Theory]
    [InlineData("0.7", 0.7)]
    [InlineData("1", 1.0)]
    public void Parse_Number_IsConstant(string text, double expected) =>
        Assert.Equal((expected, expected), Schedule.Parse(text, null).Range);

    [Theory]
    [InlineData(ScheduleKind.Linear, 0.9, null, "needs to, the value at last")]
    [InlineData(ScheduleKind.Cosine, null, 0.5, "needs from, the value at first")]
    [InlineData(ScheduleKind.Step, null, null, "needs from, the value at first")]
    [InlineData(ScheduleKind.Exponential, 0.9, null, "needs to, the value at last")]
    [InlineData(ScheduleKind.Exponential, 0.9, 0.0, "an exponential schedule goes between numbers above 0")]
    [InlineData(ScheduleKind.TeacherEntropy, 2.0, null, "needs to, the value at last")]
    [InlineData(ScheduleKind.Constant, null, null, "needs from, the value at first")]
    [InlineData(ScheduleKind.GradientBalance, null, null, "gradient_balance starts from a kd_alpha above 0 and below 1: give from")]
    [InlineData(ScheduleKind.GradientBalance, 0.0, null, "gradient_balance starts from a kd_alpha above 0 and below 1: give from")]
    [InlineData(ScheduleKind.GradientBalance, 0.5, 0.1, "gradient_balance ends where the gradients have it; leave to out")]
    [InlineData(ScheduleKind.GradientBalance, 0.5, null, null)]
    [InlineData(ScheduleKind.Linear, 0.0, 0.0, null)]
    public void Problem_EndsThatAreNotGiven_IsSaid(ScheduleKind kind, double? from, double? to, string? expected) =>
        Assert.Equal(
            expected,
            new Schedule
            {
                Kind = kind,
                From = from,
                To = to,
            }.Problem
        );

    /// <summary>A loss that jumps with the weight of the exits is no spike.</summary>
    [Fact]
    public void JumpsAt_StepOfTheExitsWeight_IsTrue()
    {
        var plan = ObjectivePlan.HardLoss() with
        {
            Exits = new EarlyExits
            {
                Layers = [0],
                Weight = new Schedule
                {
                    Kind = ScheduleKind.Step,
                    From = 0.1,
                    To = 0.9,
                },
            },
        };

        Assert.Equal([50], Enumerable.Range(0, 101).Where(step => plan.JumpsAt(step, 101)));
    }

    [Theory]
    [InlineData("often")]
    [InlineData("nan")]
    public void Parse_NoNumber_Throws(string text) => Assert.Throws<FormatException>(() => Schedule.Parse(text, null));

    [Theory]
    [InlineData(LrSchedulerType.Cosine, 0, 0.1)]
    [InlineData(LrSchedulerType.Cosine, 9, 1.0)]
    [InlineData(LrSchedulerType.Cosine, 10, 1.0)]
    [InlineData(LrSchedulerType.Cosine, 60, 0.6)] // half-way between 1 and 0.2
    [InlineData(LrSchedulerType.Cosine, 110, 0.2)]
    [InlineData(LrSchedulerType.Linear, 35, 0.8)] // a quarter of the way
    [InlineData(LrSchedulerType.Linear, 110, 0.2)]
    [InlineData(LrSchedulerType.Constant, 110, 1.0)]
    [InlineData(LrSchedulerType.WarmupStableDecay, 55, 1.0)]
    public void LearningRate_WarmUpAndDecay_FollowsItsCourse(LrSchedulerType type, long step, double expected) =>
        Assert.Equal(expected, new LearningRateSchedule(1, 10, 0.2, 0.25, type).ValueAt(step, 111), 1e-9);

    [Theory]
    [InlineData(LrSchedulerType.Cosine)]
    [InlineData(LrSchedulerType.Linear)]
    [InlineData(LrSchedulerType.WarmupStableDecay)]
    public void LearningRate_LastUpdate_IsTheLeastThatWasAskedFor(LrSchedulerType type)
    {
        Assert.Equal(0.1, new LearningRateSchedule(1, 3, 0.1, 0.25, type).ValueAt(99, 100), 1e-12);
        Assert.All(Enumerable.Range(0, 100), step =>
            Assert.InRange(new LearningRateSchedule(1, 3, 0.1, 0.25, type).ValueAt(step, 100), 0.1, 1)
        );
    }

    [Theory]
    [InlineData(LrSchedulerType.Cosine)]
    [InlineData(LrSchedulerType.Linear)]
    [InlineData(LrSchedulerType.WarmupStableDecay)]
    public void LearningRate_DownToZero_SpendsNoUpdateAtZero(LrSchedulerType type) =>
        Assert.All(Enumerable.Range(0, 100), step =>
            Assert.InRange(new LearningRateSchedule(1, 3, 0, 0.25, type).ValueAt(step, 100), 1e-4, 1)
        );

    /// <summary>
    /// Transformers' get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup, from the first update after warm-up on.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    [InlineData(99)]
    public void LearningRate_DownToZero_IsThatOfTransformers(int warmup)
    {
        foreach (var step in Enumerable.Range(warmup, 100 - warmup))
        {
            var progress = (step - warmup) / (double)(100 - warmup);
            Assert.Equal(1 - progress, new LearningRateSchedule(1, warmup, 0, 0.25, LrSchedulerType.Linear).ValueAt(step, 100), 1e-12);
            Assert.Equal(
                (1 + Math.Cos(Math.PI * progress)) / 2,
                new LearningRateSchedule(1, warmup, 0, 0.25, LrSchedulerType.Cosine).ValueAt(step, 100),
                1e-12
            );
        }
    }

    [Theory]
    [InlineData(0, 75, 1)]
    [InlineData(0, 87, 0.52)]
    [InlineData(0, 99, 0.04)]
    [InlineData(0.1, 74, 1)]
    [InlineData(0.1, 75, 1)]
    [InlineData(0.1, 87, 0.55)] // half-way between 1 and 0.1
    [InlineData(0.1, 99, 0.1)]
    public void LearningRate_WarmupStableDecay_FallsInALineOverTheLastShare(double least, int step, double expected) =>
        Assert.Equal(expected, new LearningRateSchedule(1, 0, least, 0.25, LrSchedulerType.WarmupStableDecay).ValueAt(step, 100), 1e-9);

    [Theory]
    [InlineData(LrSchedulerType.Linear, 1, 0.25, 0, 1.0)] // one update alone
    [InlineData(LrSchedulerType.Linear, 4, 0.25, 3, 0.1)] // one update after the warm-up
    [InlineData(LrSchedulerType.WarmupStableDecay, 4, 0.0, 3, 1.0)] // no decay
    [InlineData(LrSchedulerType.WarmupStableDecay, 8, 0.1, 7, 0.1)] // a decay of one update
    public void LearningRate_ShortCourse_EndsWhereItShould(LrSchedulerType type, int steps, double decay, int step, double expected) =>
        Assert.Equal(expected, new LearningRateSchedule(1, steps == 1 ? 0 : 3, 0.1, decay, type).ValueAt(step, steps), 1e-12);
}

using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Optimization;

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
        Assert.Equal(expected, new Schedule { Kind = kind, From = 0.9, To = 0.5, At = 0.3 }.ValueAt(step, 101), 1e-9);

    [Theory]
    [InlineData("0.7", 0.7)]
    [InlineData("1", 1.0)]
    public void Parse_Number_IsConstant(string text, double expected) => Assert.Equal((expected, expected), Schedule.Parse(text, null).Range);

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

    [Fact]
    public void LearningRate_WarmupStableDecay_FallsInALineOverTheLastShare()
    {
        var schedule = new LearningRateSchedule(1, 0, 0, 0.25, LrSchedulerType.WarmupStableDecay);

        Assert.Equal(1, schedule.ValueAt(75, 100), 1e-9);
        Assert.Equal(0.52, schedule.ValueAt(87, 100), 1e-9);
        Assert.Equal(0.04, schedule.ValueAt(99, 100), 1e-9);
    }
}

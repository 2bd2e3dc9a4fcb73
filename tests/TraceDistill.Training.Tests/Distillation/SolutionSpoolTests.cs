using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

public sealed class SolutionSpoolTests
{
    [Fact]
    public void Read_GroupsInAnyOrder_GivesTheSequencesAsTheyWereAdded()
    {
        var random = new Random(4);
        TraceTokens[] sequences =
        [
            .. Enumerable
                .Range(0, 900)
                .Select(i => new TraceTokens(
                    [.. Enumerable.Range(0, random.Next(2, 1_500)).Select(_ => random.Next())],
                    1 + (i % 2),
                    Soft: null
                )
                {
                    TeacherPrompt = i % 3 == 0 ? null : [.. Enumerable.Range(i, i % 7)],
                }),
        ];
        using var spool = new SolutionSpool("solutions.jsonl");

        Array.ForEach(sequences, spool.Add);
        spool.Complete();

        var groups = spool.Groups;
        Assert.InRange(groups.Count, 3, 4); // about 675,000 tokens
        Assert.Equal(sequences.Select(sequence => sequence.Ids.Length), groups.SelectMany(group => group.Lengths));
        Assert.Equal(sequences.Sum(sequence => sequence.Bytes), groups.Sum(group => group.Bytes));
        var read = groups.Reverse().Select(group => group.Read()).Reverse().SelectMany(rows => rows).ToList();
        Assert.Equal(sequences.Select(sequence => sequence.Ids), read.Select(sequence => sequence!.Ids));
        Assert.Equal(sequences.Select(sequence => sequence.FirstTrained), read.Select(sequence => sequence!.FirstTrained));
        Assert.Equal(sequences.Select(sequence => sequence.TeacherPrompt), read.Select(sequence => sequence!.TeacherPrompt));
    }
}

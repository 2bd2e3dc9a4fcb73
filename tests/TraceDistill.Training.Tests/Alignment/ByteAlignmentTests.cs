using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using TraceDistill.Training.Alignment;
using Xunit;

namespace TraceDistill.Training.Tests.Alignment;

public sealed class ByteAlignmentTests
{
    [Fact]
    public void Align_EqualBoundaries_IsTheIdentity() =>
        Assert.Equal([new(0, 0, 1), new(1, 0, 1), new(2, 0, 1)], ByteAlignment.Align([0, 2, 5, 6], [0, 2, 5, 6]));

    /// <summary>Teacher <c>abc|d</c>, student <c>a|b|c|d</c>.</summary>
    [Fact]
    public void Align_TeachersTokenInPieces_GoesOnInTheSameRow() =>
        Assert.Equal([new(0, 0, 1), new(0, 1, 1), new(0, 2, 1), new(1, 0, 1)], ByteAlignment.Align([0, 3, 4], [0, 1, 2, 3, 4]));

    /// <summary>Teacher <c>a|b|c|d</c>, student <c>abc|d</c>.</summary>
    [Fact]
    public void Align_TeachersTokensInOne_MergesThem() =>
        Assert.Equal([new(0, 0, 3), new(3, 0, 1)], ByteAlignment.Align([0, 1, 2, 3, 4], [0, 3, 4]));

    /// <summary>Teacher <c>ab|cd|e</c>, student <c>a|bcd|e</c>: nothing tells of <c>bcd</c> after <c>a</c>.</summary>
    [Fact]
    public void Align_BoundariesThatCross_TellsOfTheFirstToken() =>
        Assert.Equal([new(0, 0, 2), TeacherRow.None, new(2, 0, 1)], ByteAlignment.Align([0, 2, 4, 5], [0, 1, 4, 5]));

    [Fact]
    public void Align_EndWithoutBytes_MeetsTheOtherEnd() =>
        Assert.Equal([new(0, 0, 1), new(1, 0, 1)], ByteAlignment.Align([0, 2, 2], [0, 2, 2]));

    [Fact]
    public void Align_TagPutBeforeTheText_HasNoRow() =>
        Assert.Equal([TeacherRow.None, TeacherRow.None, new(0, 0, 1)], ByteAlignment.Align([0, 2], [-1, -1, 0, 2]));

    [Fact]
    public void Align_BeginningLeftOut_StartsAtTheFirstSharedByte() =>
        Assert.Equal([TeacherRow.None, new(2, 0, 1)], ByteAlignment.Align([0, 2, 4, 6], [3, 4, 6]));

    [Property]
    public void Align_AnyBoundaries_RowsBeginWhereTokensDo(byte[] teacherLengths, byte[] studentLengths)
    {
        int[] teacher = Starts(teacherLengths),
            student = Starts(studentLengths);
        if (teacher[^1] != student[^1])
        {
            var end = Math.Max(teacher[^1], student[^1]);
            (teacher, student) = ([.. teacher, end], [.. student, end]);
        }

        var rows = ByteAlignment.Align(teacher, student);

        Assert.Equal(student.Length - 1, rows.Length);
        for (var j = 0; j < rows.Length; j++)
        {
            if (rows[j].Row < 0)
            {
                Assert.DoesNotContain(student[j], teacher[..^1]);
                continue;
            }

            var first = j - rows[j].Depth;
            Assert.Equal(teacher[rows[j].Row], student[first]);
            Assert.True(
                rows[j].Depth == 0 || (rows[j].Merged == 1 && student[j + 1] <= teacher[rows[j].Row + 1]),
                "a piece of a token ends within it"
            );
            Assert.Contains(teacher[rows[j].Row + rows[j].Merged], student);
        }
    }

    static int[] Starts(byte[] lengths)
    {
        var starts = new int[lengths.Length + 1];
        for (var i = 0; i < lengths.Length; i++)
        {
            starts[i + 1] = starts[i] + (lengths[i] % 5) + 1;
        }

        return starts;
    }
}

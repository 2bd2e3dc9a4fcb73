namespace TraceDistill.Training.Alignment;

/// <summary>Which of a teacher's distributions tells of one student token.</summary>
/// <param name="Row">
/// Index of the teacher's token, or −1 where none tells anything: the student's token begins inside several of the teacher's.
/// </param>
/// <param name="Depth">Tokens that the student has written of the teacher's token already; 0 where both begin at the same byte.</param>
/// <param name="Merged">Teacher tokens up to the next byte where both vocabularies have a boundary; above 1 only at depth 0.</param>
public readonly record struct TeacherRow(int Row, int Depth, int Merged)
{
    /// <summary>No teacher distribution.</summary>
    public static TeacherRow None { get; } = new(-1, 0, 0);
}

namespace TraceDistill.Training.Alignment;

/// <summary>Brings two tokenizations of the same bytes together at the boundaries that they share.</summary>
public static class ByteAlignment
{
    /// <summary>The teacher's row that tells of each of the student's tokens.</summary>
    /// <param name="teacher">
    /// [teacher tokens + 1] byte at which each token starts, ascending, and the end of the
    /// last; a token without bytes starts where the next does.
    /// </param>
    /// <param name="student">
    /// [student tokens + 1] the same of the student; tokens that are not of the text start at −1 and come first.
    /// </param>
    public static TeacherRow[] Align(ReadOnlySpan<int> teacher, ReadOnlySpan<int> student)
    {
        var rows = new TeacherRow[student.Length - 1];
        Array.Fill(rows, TeacherRow.None);
        for (int i = 0, j = 0; j < rows.Length; )
        {
            while (i < teacher.Length - 1 && teacher[i] < student[j])
            {
                i++;
            }

            if (i == teacher.Length - 1 || teacher[i] != student[j])
            {
                j++;
                continue;
            }

            // Of tokens that start at one byte, the last is the one that writes it.
            while (i < teacher.Length - 2 && teacher[i + 1] == student[j])
            {
                i++;
            }

            var (nextTeacher, nextStudent) = NextShared(teacher, student, i + 1, j + 1);
            rows[j] = new TeacherRow(i, 0, nextTeacher - i);
            for (var depth = 1; nextTeacher == i + 1 && depth < nextStudent - j; depth++)
            {
                rows[j + depth] = new TeacherRow(i, depth, 1);
            }

            (i, j) = (nextTeacher, nextStudent);
        }

        return rows;
    }

    /// <summary>The first boundaries from here on that are at the same byte, or the ends.</summary>
    static (int Teacher, int Student) NextShared(ReadOnlySpan<int> teacher, ReadOnlySpan<int> student, int i, int j)
    {
        while (teacher[i] < student[j] ? i < teacher.Length - 1 : teacher[i] > student[j] && j < student.Length - 1)
        {
            _ = teacher[i] < student[j] ? i++ : j++;
        }

        return (i, j);
    }
}

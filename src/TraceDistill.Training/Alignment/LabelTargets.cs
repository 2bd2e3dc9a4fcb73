namespace TraceDistill.Training.Alignment;

/// <summary>Labels of a sequence in a training of classifiers: a row for each place that they are read at.</summary>
/// <param name="Task">Number of the task, which has L labels.</param>
/// <param name="Rows">[M] tokens whose hidden states the labels are read from, ascending.</param>
/// <param name="Given">[M · L] probabilities of the labels by the data; empty where they are not known.</param>
/// <param name="Taught">[M · L] log-probabilities by a teacher at temperature 1; empty where there is none.</param>
public sealed record LabelTargets(int Task, int[] Rows, float[] Given, float[] Taught)
{
    /// <summary>The memory that it takes, in bytes.</summary>
    public long Bytes => (sizeof(int) * (long)Rows.Length) + (sizeof(float) * ((long)Given.Length + Taught.Length)) + 100;
}

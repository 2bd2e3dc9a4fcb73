using System.Globalization;
using TraceDistill.Teachers.Journal;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>Finds out from a job's environment which partition of a collection this process has.</summary>
static class PartitionEnvironment
{
    const string SlurmId = "SLURM_ARRAY_TASK_ID";
    const string SlurmCount = "SLURM_ARRAY_TASK_COUNT";
    const string SlurmFirst = "SLURM_ARRAY_TASK_MIN";
    const string SlurmStep = "SLURM_ARRAY_TASK_STEP";
    const string KubernetesIndex = "JOB_COMPLETION_INDEX";
    const string KubernetesCount = "JOB_COMPLETIONS";

    /// <param name="read">Reads a variable; null where it is not set.</param>
    /// <param name="partitions">
    /// Number of partitions in place of what the environment says, which in a Kubernetes Indexed Job is nothing.
    /// </param>
    /// <returns>The partition and the variable that tells it; null outside of an array job.</returns>
    /// <exception cref="InvalidInputException">The variables contradict each other, or the number of partitions is not known.</exception>
    public static (Partition Partition, string Variable)? Find(Func<string, string?> read, int? partitions)
    {
        var (slurm, kubernetes) = (Number(SlurmId), Number(KubernetesIndex));
        return (slurm, kubernetes) switch
        {
            ({ } id, _) when (partitions ?? Number(SlurmCount)) is { } count => (
                Of((id - (Number(SlurmFirst) ?? 0)) / Math.Max(1, Number(SlurmStep) ?? 1), count, SlurmId),
                SlurmId
            ),
            (not null, _) => throw CountMissing(SlurmId, SlurmCount),
            (_, { } index) when (partitions ?? Number(KubernetesCount)) is { } count => (
                Of(index, count, KubernetesIndex),
                KubernetesIndex
            ),
            (_, not null) => throw CountMissing(KubernetesIndex, KubernetesCount),
            _ => null,
        };

        int? Number(string name) =>
            read(name) is not { Length: > 0 } text ? null
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
            : throw new InvalidInputException(
                $"partition: {name} is '{text}' where a number is expected; correct it, or say which one with --partition"
            );
    }

    static InvalidInputException CountMissing(string index, string count) =>
        new(
            $"partition: {index} is set, but not how many partitions there are; "
                + $"say it with --partitions or {count}, or collect everything with --partition 0/1"
        );

    static Partition Of(int index, int count, string variable) =>
        index >= 0 && index < count
            ? new Partition(index, count)
            : throw new InvalidInputException(
                $"partition: {variable} makes this partition {index} of {count}, "
                    + $"and they count from 0 to {count - 1}; number the jobs that way, or say which one with --partition"
            );
}

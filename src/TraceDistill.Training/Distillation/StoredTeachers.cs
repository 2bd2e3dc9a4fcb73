using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;

namespace TraceDistill.Training.Distillation;

/// <summary>One teacher's soft targets of one data set.</summary>
/// <param name="IsOwn">True where they stand in the traces themselves.</param>
/// <param name="Scores">Where they stand beside them; null there, and where the teacher says nothing of these traces.</param>
readonly record struct StoredTeacher(bool IsOwn, ScoredTraces? Scores);

/// <summary>Teachers of a training whose soft targets are stored: the scores of each, and the data sets that they are of.</summary>
sealed class StoredTeachers
{
    readonly List<(TeacherChoice Teacher, IReadOnlyList<ScoredTraces> Scores)> _teachers = [];
    readonly HashSet<ScoredTraces> _used = [];
    readonly List<string> _looked = [];

    /// <exception cref="InvalidInputException">Scores are not there, or of a tokenizer that is not.</exception>
    public static async Task<StoredTeachers> OpenAsync(
        TrainOptions options,
        Tokenizer tokenizer,
        ChatSequence chat,
        CancellationToken cancellationToken
    )
    {
        var teachers = new StoredTeachers { Judges = options.TeacherWeights == TeacherWeights.Verdict };
        foreach (var teacher in options.StoredTeachers)
        {
            var scores = new List<ScoredTraces>();
            foreach (var path in teacher.Scores)
            {
                scores.Add(await ScoredTraces.OpenAsync(path, options.StoredTopK, tokenizer, chat, cancellationToken));
            }

            teachers._teachers.Add((teacher, scores));
        }

        return teachers;
    }

    /// <summary>True where the verdict of a trace decides how much each teacher counts.</summary>
    public bool Judges { get; private init; }

    /// <summary>Scores that are of some data set, each once.</summary>
    public IEnumerable<ScoredTraces> Used => _used;

    /// <summary>All teachers of a data set, in their order; none where the traces' own soft targets are all.</summary>
    /// <exception cref="InvalidInputException">A teacher has scored it twice.</exception>
    public async Task<IReadOnlyList<StoredTeacher>> OfAsync(ShardReader traces, CancellationToken cancellationToken)
    {
        if (_teachers.Count == 0)
        {
            return [];
        }

        var first = await traces.ReadIdsAsync(cancellationToken).FirstOrDefaultAsync(cancellationToken);
        _looked.Add(Identity(traces.Path, traces.Rows, first));
        var found = new List<StoredTeacher>();
        foreach (var (teacher, scores) in _teachers)
        {
            var same = new List<ScoredTraces>();
            foreach (var folder in scores)
            {
                if (folder.Rows == traces.Rows && await folder.FirstIdAsync(cancellationToken) == first)
                {
                    same.Add(folder);
                    _used.Add(folder);
                }
            }

            found.Add(
                same.Count < 2
                    ? new StoredTeacher(teacher.Traces, same.FirstOrDefault())
                    : throw new InvalidInputException(
                        $"teachers: {same[0].Path} and {same[1].Path} are both scores of {traces.Path}; list them as two teachers, or "
                            + "leave one out"
                    )
            );
        }

        return found;
    }

    /// <exception cref="InvalidInputException">Some scores are of none of the data sets.</exception>
    public async Task EnsureUsedAsync(CancellationToken cancellationToken)
    {
        foreach (var folder in _teachers.SelectMany(teacher => teacher.Scores).Where(folder => !_used.Contains(folder)))
        {
            var identity = Identity(folder.Path, folder.Rows, await folder.FirstIdAsync(cancellationToken));
            throw new InvalidInputException(
                $"teachers: {identity}, and so is of other traces than these: {string.Join("; ", _looked)}; "
                    + "score the traces as they are now"
            );
        }
    }

    static string Identity(string path, long rows, string? first) =>
        FormattableString.Invariant($"{path} has {rows} rows, the first of trace {first ?? "(none)"}");
}

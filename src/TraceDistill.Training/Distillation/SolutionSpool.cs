using System.Runtime.InteropServices;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;

namespace TraceDistill.Training.Distillation;

/// <summary>
/// Worked solutions as training sequences, in a temporary file: a file of problems can be
/// read from its beginning alone, and training begins anywhere.
/// </summary>
sealed class SolutionSpool : ISequenceSource, IDisposable
{
    /// <summary>Tokens of a group, but for a longer sequence.</summary>
    const int GroupTokens = 1 << 18;

    const int NoPrompt = -1;

    readonly FileStream _file;

    /// <summary>First byte of each group, and tokens and pictures of its sequences.</summary>
    readonly List<(long Start, List<int> Lengths, List<SequencePicture?> Pictures)> _groups = [];
    readonly List<long> _ends = [];
    readonly List<SequenceGroup> _complete = [];
    long _tokens,
        _bytes;

    /// <param name="name">Names the problems in errors.</param>
    public SolutionSpool(string name)
    {
        Name = name;
        var path = Path.Combine(Path.GetTempPath(), $"tracedistill-{Guid.NewGuid():N}");
        _file = new FileStream(
            path,
            FileMode.CreateNew,
            FileAccess.ReadWrite,
            FileShare.Read | FileShare.Delete,
            1 << 16,
            FileOptions.DeleteOnClose
        );
        if (!OperatingSystem.IsWindows())
        {
            File.Delete(path); // An open file stays until the process ends, however it ends.
        }
    }

    public string Name { get; }

    /// <summary>All groups, once everything is in them.</summary>
    public IReadOnlyList<SequenceGroup> Groups => _complete;

    public void Add(TraceTokens sequence)
    {
        if (_groups.Count == 0 || (_tokens + sequence.Ids.Length > GroupTokens && _tokens > 0))
        {
            CompleteGroup();
            _groups.Add((_file.Position, [], []));
        }

        // Where the completion begins, the teacher's prompt behind its length, the tokens.
        int[] prompt = sequence.TeacherPrompt is { } own ? [own.Length, .. own] : [NoPrompt];
        _file.Write(MemoryMarshal.AsBytes<int>([sequence.FirstTrained, .. prompt, .. sequence.Ids]));
        _groups[^1].Lengths.Add(sequence.Ids.Length);
        _groups[^1].Pictures.Add(sequence.Picture);
        (_tokens, _bytes) = (_tokens + sequence.Ids.Length, _bytes + sequence.Bytes);
    }

    /// <summary>Ends writing: from now on it is read.</summary>
    public void Complete()
    {
        CompleteGroup();
        _file.Flush();
    }

    public TraceTokens?[] Read(int group, ReadOnlySpan<int> lengths)
    {
        var values = new int[(_ends[group] - _groups[group].Start) / sizeof(int)];
        var bytes = MemoryMarshal.AsBytes(values.AsSpan());
        for (var read = 0; read < bytes.Length; )
        {
            var count = RandomAccess.Read(_file.SafeFileHandle, bytes[read..], _groups[group].Start + read);
            read += count > 0 ? count : throw new EndOfStreamException();
        }

        var (sequences, next) = (new TraceTokens?[lengths.Length], 0);
        for (var row = 0; row < lengths.Length; row++)
        {
            var (first, prompt) = (values[next], values[next + 1]);
            var ids = next + 2 + Math.Max(0, prompt);
            sequences[row] = new TraceTokens(values[ids..(ids + lengths[row])], first, Soft: null)
            {
                TeacherPrompt = prompt == NoPrompt ? null : values[(next + 2)..ids],
                Picture = _groups[group].Pictures[row],
            };
            next = ids + lengths[row];
        }

        return sequences;
    }

    public void Dispose() => _file.Dispose();

    void CompleteGroup()
    {
        if (_tokens > 0)
        {
            _ends.Add(_file.Position);
            _complete.Add(new SequenceGroup(this, _complete.Count, [.. _groups[^1].Lengths], _bytes));
        }

        (_tokens, _bytes) = (0, 0);
    }
}

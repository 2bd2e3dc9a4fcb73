using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;

namespace TraceDistill.Training.Distillation;

/// <summary>
/// A first pass over all data: what is left out and why, how long sequences are, which are held
/// out, and a digest of all of it. Of a sequence that is trained on its length is kept, four
/// bytes, and as many for its difficulty where a curriculum asks for it; the sequences
/// themselves only while all of them fit into the buffer for shuffling.
/// </summary>
/// <param name="options">Settings that leave traces out.</param>
/// <param name="tokenizer">The student's.</param>
/// <param name="chat">Writes the student's prompts.</param>
/// <param name="maxLength">Most tokens of a sequence.</param>
/// <param name="heldOutTokens">Tokens of held-out traces that are kept, and so evaluated on.</param>
sealed class TrainingSurvey(
    TrainOptions options,
    Tokenizer tokenizer,
    ChatSequence chat,
    int maxLength,
    long heldOutTokens = TrainingSurvey.HeldOutTokens
) : IDisposable
{
    /// <summary>About 80 MB from compact shards at k = 20.</summary>
    public const long HeldOutTokens = 1 << 21;

    readonly SpecialTokensInText _specials = new(tokenizer);
    readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly List<TraceShards> _keeping = [];
    readonly List<TraceTokens> _heldOut = [];
    readonly PassRates? _passRates = options.Curriculum?.By == Difficulty.PassRate ? new PassRates() : null;
    readonly List<float[]> _difficulties = [];
    bool _hasEntropy;
    long _keptBytes,
        _heldOutTokens;

    /// <summary>Sequences to train on, those that are too long among them.</summary>
    public int Sequences { get; private set; }

    /// <summary>Those that are trained on.</summary>
    public int Fitting { get; private set; }

    public int Unfinished { get; private set; }

    public int NotCorrect { get; private set; }

    public int TooLong { get; private set; }

    /// <summary>Answers given as text in which an end token of the student stands.</summary>
    public int EndedInText { get; private set; }

    /// <summary>Tokens of the longest sequence, one that is too long included.</summary>
    public int Longest { get; private set; }

    /// <summary>Tokens of the longest sequence that is trained on.</summary>
    public int LongestFitting { get; private set; }

    public int LongestPrompt { get; private set; }

    /// <summary>Tokens of the longest sequence as models that teach read it, of those that are learned from or held out.</summary>
    public int LongestOfTeacher { get; private set; }

    /// <summary>Trained tokens of the sequence that has most.</summary>
    public int LongestTrained { get; private set; }

    /// <summary>Sequences that are held out, those that are not kept included.</summary>
    public int HeldOutFound { get; private set; }

    /// <summary>The first of them.</summary>
    public IReadOnlyList<TraceTokens> HeldOut => _heldOut;

    /// <summary>Bytes that sequences take while a student learns from them, where they are not kept already.</summary>
    public long BytesAhead => _keptBytes > options.ShuffleBufferBytes ? options.ShuffleBufferBytes : 0;

    /// <summary>Says in how many prompts somebody wrote a special token of the student; null where nobody did.</summary>
    public string? DescribeSpecials() => _specials.Describe("the student");

    /// <summary>A digest of all sequences so far.</summary>
    public byte[] Digest() => _hash.GetCurrentHash();

    /// <summary>Looks at all traces of a data set that is rehearsed: nothing of it is held out.</summary>
    /// <returns>The row groups that have traces to train on.</returns>
    public Task<IReadOnlyList<SequenceGroup>> RehearseAsync(TraceShards shards, int? most, CancellationToken cancellationToken) =>
        AddAsync(shards, most, isRehearsed: true, cancellationToken);

    /// <summary>Looks at all traces of a data set.</summary>
    /// <returns>The row groups that have traces to train on.</returns>
    public Task<IReadOnlyList<SequenceGroup>> AddAsync(TraceShards shards, CancellationToken cancellationToken) =>
        AddAsync(shards, options.MaxTraces, isRehearsed: false, cancellationToken);

    async Task<IReadOnlyList<SequenceGroup>> AddAsync(TraceShards shards, int? most, bool isRehearsed, CancellationToken cancellationToken)
    {
        var (groups, taken, index) = (new List<SequenceGroup>(), 0, -1);
        _keeping.Add(shards);
        await foreach (var traces in shards.GroupsAsync())
        {
            cancellationToken.ThrowIfCancellationRequested();
            index++;
            var sequences = new TraceTokens?[traces.Count];
            for (var row = 0; row < traces.Count && taken != most; row++)
            {
                _passRates?.Count(traces[row].Trace, _keeping.Count);
                if (IsWanted(traces[row].Trace) && Look(traces[row], isFirst: taken++ == 0, isRehearsed, shards) is { } sequence)
                {
                    sequences[row] = sequence;
                }
            }

            var group = new SequenceGroup(
                shards,
                index,
                [.. sequences.Select(sequence => sequence?.Ids.Length ?? 0)],
                sequences.Sum(sequence => sequence?.Bytes ?? 0),
                DifficultiesOf([.. traces.Select(row => row.Trace)], sequences)
            );
            if (group.Bytes > 0)
            {
                groups.Add(group);
                Keep(shards, group, sequences);
            }

            if (taken == most)
            {
                break;
            }
        }

        return groups;
    }

    /// <summary>Takes as many traces of a data set as are kept for evaluation.</summary>
    public async Task HoldOutAsync(TraceShards shards, CancellationToken cancellationToken)
    {
        await foreach (var traces in shards.GroupsAsync())
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (var row in traces.Where(row => IsWanted(row.Trace)))
            {
                HoldOut(shards.Align(row));
            }

            if (HeldOutFound > _heldOut.Count)
            {
                break;
            }
        }
    }

    /// <summary>
    /// Draws sequences of some data sets, each as likely as any other (reservoir sampling: Vitter, "Random Sampling with a Reservoir",
    /// 1985, algorithm R).
    /// </summary>
    /// <param name="sets">Opened one after another.</param>
    /// <param name="count">Number of sequences; all where there are fewer.</param>
    public async Task<IReadOnlyList<TraceTokens>> SampleAsync(
        IAsyncEnumerable<TraceShards> sets,
        int count,
        CancellationToken cancellationToken
    )
    {
        var (taken, seen, random) = (new List<TraceTokens>(), 0L, ShuffleWindow.Random($"{options.Seed} sample"));
        await foreach (var shards in sets)
        {
            await foreach (var traces in shards.GroupsAsync())
            {
                cancellationToken.ThrowIfCancellationRequested();
                foreach (var row in traces.Where(row => IsWanted(row.Trace)))
                {
                    var sequence = shards.Align(row);
                    if (!IsFitting(sequence))
                    {
                        continue;
                    }

                    seen++;
                    if (taken.Count < count)
                    {
                        taken.Add(sequence);
                    }
                    else if (random.NextInt64(seen) is var place && place < count)
                    {
                        taken[(int)place] = sequence;
                    }
                }
            }
        }

        taken.ForEach(AddToDigest);
        return taken;
    }

    /// <summary>Looks at all worked solutions of a problem file.</summary>
    public async Task<SolutionSpool> AddSolutionsAsync(string path, TeacherPrompts? prompts, CancellationToken cancellationToken)
    {
        var spool = new SolutionSpool(path);
        try
        {
            await foreach (
                var problem in ProblemReader
                    .ReadAsync(path, options, cancellationToken: cancellationToken)
                    .Where(problem => problem.Solution is not null)
            )
            {
                _specials.Look(problem.Conversation(), problem.Id);
                var sequence = chat.FromSolution(problem) with { TeacherPrompt = prompts?.Of(problem) };
                if (Count(sequence))
                {
                    spool.Add(sequence);
                    Grow(sequence.Bytes);
                }
            }

            spool.Complete();
            return spool;
        }
        catch
        {
            spool.Dispose();
            throw;
        }
    }

    /// <summary>Makes difficulties known that follow from all traces together; what follows from them belongs to the digest.</summary>
    /// <exception cref="InvalidInputException">The traces do not tell them.</exception>
    public void CompleteDifficulties()
    {
        if (_passRates is { HasVerdicts: false })
        {
            throw new InvalidInputException(
                $"{options.DataName}: curriculum by pass_rate is of verdicts, and no trace has one: take length or entropy"
            );
        }

        _passRates?.Complete();
        if (options.Curriculum is { By: Difficulty.Entropy } && !_hasEntropy)
        {
            throw new InvalidInputException(
                $"{options.DataName}: curriculum by entropy is of soft targets, and no trace has any: take length or pass_rate"
            );
        }

        _difficulties.ForEach(rows => _hash.AppendData(MemoryMarshal.AsBytes<float>(rows)));
    }

    public void Dispose() => _hash.Dispose();

    float[]? DifficultiesOf(IReadOnlyList<Trace> traces, TraceTokens?[] sequences)
    {
        if (options.Curriculum is not { By: not Difficulty.Length })
        {
            return null;
        }

        var difficulties = _passRates?.Of(traces, _keeping.Count)
            ?? [.. sequences.Select(sequence => sequence is null ? 0 : EntropyOf(sequence))];
        _difficulties.Add(difficulties);
        return difficulties;
    }

    /// <summary>
    /// Mean of −Σ p·log p over a sequence's soft targets, of all teachers, and what they leave out, in nats; infinite where it has none.
    /// </summary>
    float EntropyOf(TraceTokens sequence)
    {
        var (sum, rows) = (0.0, 0);
        foreach (var soft in sequence.Further.Prepend(sequence.Soft).OfType<ISoftTargetSource>().Select(source => source.Read()))
        {
            foreach (var row in Enumerable.Range(0, soft.Tail.Length).Where(row => soft.Present(row) > 0))
            {
                rows++;
                sum -= Information(soft.Tail[row]);
                foreach (var logprob in soft.Logprobs.AsSpan(row * soft.K, soft.Present(row)))
                {
                    sum -= Information(logprob);
                }
            }
        }

        _hasEntropy |= rows > 0;
        return rows == 0 ? float.PositiveInfinity : (float)(sum / rows);

        static double Information(double logprob) => double.IsNegativeInfinity(logprob) ? 0 : Math.Exp(logprob) * logprob;
    }

    /// <summary>
    /// The end token behind a part of an answer, or behind a call whose result is still to come, would teach the student to stop there.
    /// </summary>
    bool IsWanted(Trace trace)
    {
        if (!FinishReasons.IsNatural(trace.FinishReason) || trace.ToolCalls is not null)
        {
            Unfinished++;
            return false;
        }

        if (options.OnlyCorrect && trace.Verdict != Verdict.Correct.ToName())
        {
            NotCorrect++;
            return false;
        }

        return true;
    }

    /// <returns>The sequence of a trace that is trained on; else null.</returns>
    TraceTokens? Look(TraceRow row, bool isFirst, bool isRehearsed, TraceShards shards)
    {
        var trace = row.Trace;
        if (isFirst)
        {
            // Traces bring their prompts; a template that cannot render one is found out now, and not by whoever serves the student.
            _ = chat.Prompt((chat.Pictures?.Ask(trace) ?? trace).Messages);
        }

        _specials.Look(trace.Messages, trace.ProblemId);
        var sequence = shards.Align(row);
        if (isRehearsed || !IsHeldOut(trace.ProblemId))
        {
            return Count(sequence) ? sequence : null;
        }

        HoldOut(sequence);
        return null;
    }

    /// <returns>True where the sequence is trained on.</returns>
    bool Count(TraceTokens sequence)
    {
        var length = LengthOf(sequence);
        Sequences++;
        Longest = Math.Max(Longest, length);
        LongestPrompt = Math.Max(LongestPrompt, sequence.FirstTrained);
        LongestTrained = Math.Max(LongestTrained, sequence.Trained);

        // Of answers that came as tokens, what looks like an end is text; of others, text that looks like an end is one.
        EndedInText += sequence.Soft is null && sequence.Ids.Skip(sequence.FirstTrained).SkipLast(1).Any(chat.Ends.Contains) ? 1 : 0;
        TooLong += length > maxLength ? 1 : 0;
        if (!IsFitting(sequence))
        {
            return false;
        }

        Fitting++;
        LongestFitting = Math.Max(LongestFitting, sequence.Ids.Length);
        AddToDigest(sequence);
        return true;
    }

    void HoldOut(TraceTokens sequence)
    {
        if (!IsFitting(sequence))
        {
            return;
        }

        HeldOutFound++;
        if (_heldOutTokens + sequence.Ids.Length <= heldOutTokens || _heldOut.Count == 0)
        {
            _heldOutTokens += sequence.Ids.Length;
            _heldOut.Add(sequence);
            AddToDigest(sequence);
        }
        else
        {
            _heldOutTokens = heldOutTokens; // the first ones are kept, and not also the short ones behind
        }
    }

    bool IsFitting(TraceTokens sequence) => LengthOf(sequence) <= maxLength && sequence.Trained > 0;

    /// <summary>The longer of what the student and what a teacher reads, where max_length is of both.</summary>
    int LengthOf(TraceTokens sequence) =>
        options.MaxLength is null ? sequence.Ids.Length : Math.Max(sequence.Ids.Length, sequence.TeacherLength);

    /// <summary>Whole problems are held out, whatever the order and number of their traces.</summary>
    bool IsHeldOut(string problem)
    {
        if (options.EvalFraction == 0)
        {
            return false;
        }

        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{options.Seed} held out {problem}"));
        return BinaryPrimitives.ReadUInt32LittleEndian(hash) < options.EvalFraction * uint.MaxValue;
    }

    void Keep(TraceShards shards, SequenceGroup group, TraceTokens?[] sequences)
    {
        shards.Keep(group.Index, sequences);
        Grow(group.Bytes);
    }

    /// <summary>Sequences are kept while all there are fit into the buffer.</summary>
    void Grow(long bytes)
    {
        _keptBytes += bytes;
        if (_keptBytes > options.ShuffleBufferBytes)
        {
            _keeping.ForEach(kept => kept.KeepNone());
        }
    }

    void AddToDigest(TraceTokens sequence)
    {
        LongestOfTeacher = Math.Max(LongestOfTeacher, sequence.TeacherLength);
        _hash.AppendData(MemoryMarshal.AsBytes<int>(sequence.Ids));
        if (sequence.TeacherPrompt is { } prompt)
        {
            _hash.AppendData(MemoryMarshal.AsBytes<int>([prompt.Length, .. prompt]));
        }

        foreach (var (teacher, soft) in sequence.Further.Prepend(sequence.Soft).Index())
        {
            if (teacher > 0)
            {
                _hash.AppendData([(byte)(soft is null ? 0 : 1)]);
            }

            soft?.AppendTo(_hash);
        }

        if (sequence.IsIncorrect)
        {
            _hash.AppendData([1]);
        }

        if (sequence.Picture is { } picture)
        {
            _hash.AppendData(picture.Read().Pixels);
        }
    }
}

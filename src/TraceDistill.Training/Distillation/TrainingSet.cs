using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;

namespace TraceDistill.Training.Distillation;

/// <summary>The sequences a student learns from, read while it learns, and what was left out of them and why.</summary>
/// <remarks>
/// In memory are four bytes for each sequence, its length (with a curriculum as many for its rank, and for its difficulty), and
/// <see cref="TrainOptions.ShuffleBufferMb"/> of sequences as their shards hold them: about 40 bytes a token at k = 20
/// from compact shards, 8·k + 4 more from those of the plain layout, which is for exchange with other programs. They are
/// decoded when a batch needs them.
/// </remarks>
sealed class TrainingSet : IDisposable
{
    readonly SolutionSpool? _solutions;

    TrainingSet(IReadOnlyList<SequenceSet> sets, SolutionSpool? solutions) => (Sets, _solutions) = (sets, solutions);

    /// <summary>Data sets that are each shuffled as one, and their shares of the tokens.</summary>
    public IReadOnlyList<SequenceSet> Sets { get; }

    /// <summary>Number of sequences.</summary>
    public required int Count { get; init; }

    /// <summary>Those that are evaluated on instead: of a fraction of the problems.</summary>
    public required IReadOnlyList<TraceTokens> HeldOut { get; init; }

    /// <summary>Traces cut off by a token limit: their end was never seen.</summary>
    public required int Unfinished { get; init; }

    /// <summary>Traces not verified as correct, where only those were asked for.</summary>
    public required int NotCorrect { get; init; }

    /// <summary>Sequences longer than the student's positions.</summary>
    public required int TooLong { get; init; }

    /// <summary>Tokens of the longest sequence, one that was left out included.</summary>
    public required int Longest { get; init; }

    /// <summary>Tokens of the longest sequence that was not left out.</summary>
    public required int LongestFitting { get; init; }

    /// <summary>Tokens of the longest sequence as models that teach read it.</summary>
    public required int LongestOfTeacher { get; init; }

    /// <summary>Tokens of the longest prompt.</summary>
    public required int LongestPrompt { get; init; }

    /// <summary>The prompts in which problems were put; null where that is not known, or there are no traces.</summary>
    public required TaskDescription? Task { get; init; }

    /// <summary>
    /// Share of the soft targets that a student with another vocabulary than the teacher's has; null where they share one.
    /// </summary>
    public required AlignmentSurvival? Survival { get; init; }

    /// <summary>
    /// Remarks on sequences that were too long, on the teacher's prompts and ends, and on logprobs that are not its own: a line each.
    /// </summary>
    public required IReadOnlyList<string> Remarks { get; init; }

    /// <summary>Identity of the very tokens and targets, in their order.</summary>
    public required byte[] Digest { get; init; }

    /// <summary>Bytes that its sequences take while a student learns from them, where they are not in memory already.</summary>
    public required long BytesAhead { get; init; }

    /// <summary>Tokens of the so many shortest sequences; of all where there are fewer.</summary>
    public IEnumerable<long> ShortestLengths(int count) =>
        Sets.SelectMany(set => set.Groups)
            .SelectMany(group => group.Lengths)
            .Where(length => length > 0)
            .Order()
            .Take(count)
            .Select(length => (long)length);

    /// <summary>The order in which they are gone through.</summary>
    /// <param name="options">With a curriculum their number of steps counts.</param>
    public BatchPlan Plan(TrainOptions options) =>
        new(
            Sets,
            options.UpdateTokens,
            options.Seed,
            options.ShuffleBufferBytes,
            options.Curriculum is { } curriculum ? step => curriculum.ShareAt(step, options.MaxSteps) : null
        );

    /// <summary>Looks through everything that <paramref name="options"/> names.</summary>
    /// <exception cref="InvalidInputException">Nothing is left to learn from, or the traces are of another tokenizer.</exception>
    public static async Task<TrainingSet> ReadAsync(
        TrainOptions options,
        Tokenizer tokenizer,
        ChatSequence chat,
        int maxLength,
        TeacherPrompts? prompts,
        CancellationToken cancellationToken
    )
    {
        AlignmentSurvival? survival = null;
        TaskDescription? task = null;
        var (traces, remarks) = (new List<IReadOnlyList<SequenceGroup>>(), new List<string>());
        using var survey = new TrainingSurvey(options, tokenizer, chat, maxLength);
        var stored = await StoredTeachers.OpenAsync(options, tokenizer, chat, cancellationToken);
        var opened = new List<TraceShards>();
        foreach (var path in options.TracePaths())
        {
            opened.Add(await OpenAsync(path, options, tokenizer, chat, stored, prompts, cancellationToken));
        }

        if (options.EvalTraces is { } eval && options.StoredTeachers.Count > 0)
        {
            await stored.OfAsync(await ShardReader.OpenAsync(eval, cancellationToken: cancellationToken), cancellationToken);
        }

        await stored.EnsureUsedAsync(cancellationToken);
        foreach (var (path, shards) in options.TracePaths().Zip(opened))
        {
            traces.Add(
                traces.Count < options.Traces.Count
                    ? await survey.AddAsync(shards, cancellationToken)
                    : await survey.RehearseAsync(shards, options.Rehearsal!.MaxTraces, cancellationToken)
            );
            task ??= TaskDescription.OfTraces(path, shards.Dataset);
            if (TakesOwn(options))
            {
                SoftTargetRules.EnsureAligned(path, shards.Aligner.Survival, options);
                survival = shards.Aligner.Survival is { } left ? left + (survival ?? default) : survival;
            }

            var name = options.TracePaths().Skip(1).Any() ? $"{path}: " : "";
            remarks.AddRange([name + shards.Aligner.DescribeTemplates(), .. shards.Aligner.DescribeLogprobs().Select(line => name + line)]);
        }

        foreach (var scores in stored.Used.Where(scores => scores.Seen > 0))
        {
            SoftTargetRules.EnsureAligned(scores.Path, scores.Aligner.Survival, options);
            survival = scores.Aligner.Survival is { } left ? left + (survival ?? default) : survival;
            remarks.AddRange([.. new[] { scores.Describe() }.OfType<string>(), .. scores.Aligner.DescribeLogprobs()]);
        }

        var solutions = options.Problems is { } problems ? await survey.AddSolutionsAsync(problems, prompts, cancellationToken) : null;
        IReadOnlyList<SequenceSet> blend;
        try
        {
            Describe(survey, options, maxLength, remarks);
            EnsureSomeLeft(survey, options, traces, remarks);
            survey.CompleteDifficulties();
            IReadOnlyList<SequenceGroup> rehearsed = [.. traces.Skip(options.Traces.Count).SelectMany(groups => groups)];
            traces = traces[..options.Traces.Count];
            blend = SetMixture.WithRehearsal(
                SetMixture.Blend(options.Traces, traces, solutions?.Groups ?? [], remarks),
                rehearsed,
                options.Rehearsal,
                remarks
            );
        }
        catch
        {
            solutions?.Dispose();
            throw;
        }

        return new TrainingSet(blend, solutions)
        {
            Count = survey.Fitting,
            HeldOut = survey.HeldOut,
            Unfinished = survey.Unfinished,
            NotCorrect = survey.NotCorrect,
            TooLong = survey.TooLong,
            Survival = survival,
            Remarks = remarks,
            Longest = survey.Longest,
            LongestFitting = survey.LongestFitting,
            LongestPrompt = survey.LongestPrompt,
            LongestOfTeacher = survey.LongestOfTeacher,
            Task = task is { MaxTokens: null } ? task with { MaxTokens = survey.LongestTrained } : task,
            Digest = survey.Digest(),
            BytesAhead = survey.BytesAhead,
        };
    }

    /// <summary>Returns whether the traces' own soft targets teach.</summary>
    static bool TakesOwn(TrainOptions options) => options.Teachers.Count == 0 || options.Teachers.Any(teacher => teacher.Traces);

    static async Task<TraceShards> OpenAsync(
        string path,
        TrainOptions options,
        Tokenizer tokenizer,
        ChatSequence chat,
        StoredTeachers stored,
        TeacherPrompts? prompts,
        CancellationToken cancellationToken
    )
    {
        var shards = await TraceShards.OpenAsync(
            path,
            options.TeacherTokenizer,
            options.StoredTopK,
            tokenizer,
            chat,
            stored,
            prompts,
            cancellationToken
        );
        if (TakesOwn(options))
        {
            SoftTargetRules.EnsureUnbiased(path, shards.Dataset, options);
        }

        foreach (var scores in shards.Scores)
        {
            SoftTargetRules.EnsureUnbiased(scores.Path, scores.Dataset, options);
        }

        return shards;
    }

    /// <summary>Takes the traces of <see cref="TrainOptions.EvalTraces"/>, which are evaluated on and not learned from.</summary>
    /// <exception cref="InvalidInputException">There are none that serve.</exception>
    public static async Task<(IReadOnlyList<TraceTokens> Sequences, byte[] Digest)> ReadHeldOutAsync(
        TrainOptions options,
        string path,
        Tokenizer tokenizer,
        ChatSequence chat,
        int maxLength,
        TeacherPrompts? prompts,
        CancellationToken cancellationToken
    )
    {
        using var survey = new TrainingSurvey(options, tokenizer, chat, maxLength);
        var stored = await StoredTeachers.OpenAsync(options, tokenizer, chat, cancellationToken);
        var shards = await OpenAsync(path, options, tokenizer, chat, stored, prompts, cancellationToken);
        await survey.HoldOutAsync(shards, cancellationToken);
        if (TakesOwn(options))
        {
            SoftTargetRules.EnsureAligned(path, shards.Aligner.Survival, options);
        }

        return survey.HeldOut.Count > 0
            ? (survey.HeldOut, survey.Digest())
            : throw new InvalidInputException(
                $"{path}: no trace to evaluate on: {survey.Unfinished} unfinished, "
                    + $"{survey.NotCorrect} not correct, the others longer than {maxLength} tokens"
            );
    }

    /// <summary>Draws sequences of what the student has learned before.</summary>
    /// <exception cref="InvalidInputException">There are none.</exception>
    public static async Task<(IReadOnlyList<TraceTokens> Sequences, byte[] Digest)> SampleAsync(
        TrainOptions options,
        Ewc ewc,
        Tokenizer tokenizer,
        ChatSequence chat,
        int maxLength,
        CancellationToken cancellationToken
    )
    {
        using var survey = new TrainingSurvey(options, tokenizer, chat, maxLength);
        var sequences = await survey.SampleAsync(OpenAsync(), ewc.FisherSamples, cancellationToken);
        return sequences.Count > 0
            ? (sequences, survey.Digest())
            : throw new InvalidInputException(
                $"ewc: {string.Join(", ", ewc.Traces)}: no trace to measure on: {survey.Unfinished} unfinished, "
                    + $"{survey.NotCorrect} not correct, the others longer than {maxLength} tokens"
            );

        async IAsyncEnumerable<TraceShards> OpenAsync()
        {
            foreach (var path in ewc.Traces)
            {
                yield return await TraceShards.OpenAsync(
                    path,
                    options.TeacherTokenizer,
                    options.KdTopK,
                    tokenizer,
                    chat,
                    teachers: null,
                    prompts: null,
                    cancellationToken
                );
            }
        }
    }

    public void Dispose() => _solutions?.Dispose();

    static void Describe(TrainingSurvey survey, TrainOptions options, int maxLength, List<string> remarks)
    {
        if (survey.TooLong > 0)
        {
            remarks.Insert(0, DescribeTooLong(survey, options, maxLength));
        }

        if (survey.DescribeSpecials() is { } written)
        {
            remarks.Add(written);
        }

        if (survey.EndedInText > 0)
        {
            remarks.Add(
                $"answers with an end token of the student written in their text: {survey.EndedInText:N0}; it learns to stop there"
            );
        }

        if (survey.HeldOutFound > survey.HeldOut.Count)
        {
            remarks.Add(
                FormattableString.Invariant($"of {survey.HeldOutFound:N0} held-out sequences the first {survey.HeldOut.Count:N0} ")
                    + FormattableString.Invariant($"are evaluated on, which is {TrainingSurvey.HeldOutTokens:N0} tokens")
            );
        }
    }

    static void EnsureSomeLeft(TrainingSurvey survey, TrainOptions options, List<IReadOnlyList<SequenceGroup>> traces, List<string> remarks)
    {
        if (survey.Fitting > 0)
        {
            // Without weights one set of traces is mixed with the worked solutions, and may be empty.
            var mayBeEmpty = options is { Problems: not null, Traces: [{ Weight: null }] } ? 1 : 0;
            if (traces.FindIndex(mayBeEmpty, groups => groups.Count == 0) is >= 0 and var empty)
            {
                var key = empty < options.Traces.Count ? "traces" : "rehearsal";
                throw new InvalidInputException(
                    $"{options.TracePaths().ElementAt(empty)}: nothing to train on: its traces are unfinished, "
                        + $"not correct, too long or held out; leave it out of {key}"
                );
            }

            return;
        }

        if (survey.HeldOutFound > 0)
        {
            throw new InvalidInputException(
                $"{options.DataName}: eval_fraction {options.EvalFraction} holds out all traces that there are; lower it"
            );
        }

        string?[] reasons =
        [
            survey.Unfinished > 0 ? $"{survey.Unfinished} unfinished (collect with a larger max_tokens and reask: [length])" : null,
            survey.NotCorrect > 0 ? $"{survey.NotCorrect} not correct (leave only_correct out)" : null,
            survey.TooLong > 0 ? remarks[0] : null,
        ];
        var reason = string.Join("; ", reasons.OfType<string>());
        throw new InvalidInputException(
            $"{options.DataName}: nothing to train on: " + (reason.Length > 0 ? reason : "no trace, and no problem with a worked solution")
        );
    }

    static string DescribeTooLong(TrainingSurvey survey, TrainOptions options, int maxLength)
    {
        var isSet = options.MaxLength == maxLength;
        var limit = isSet ? $"max_length {maxLength}" : $"the student's {maxLength} positions";
        var advice =
            isSet ? $"raise max_length to {survey.Longest}"
            : options.Student is null ? $"add max_position_embeddings: {survey.Longest} to architecture"
            : "take a student with more positions";
        return FormattableString.Invariant($"{survey.TooLong} of {survey.Sequences} sequences ")
            + FormattableString.Invariant($"({(double)survey.TooLong / survey.Sequences:P1}) are longer than {limit} and left out; ")
            + $"the longest has {survey.Longest} tokens: {advice}";
    }
}

using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Distillation;

/// <summary>The sequences a student learns from, and what was left out of them and why.</summary>
/// <remarks>
/// All of it is in memory: 4 bytes a token for its id and, from compact shards, what the shard holds for its soft targets, about 33 bytes a
/// token at k = 20 (0.4 GB for ten million tokens). They are decoded when a batch needs them. Shards of the plain layout, which is for
/// exchange
/// with other programs, take 8·k + 4 bytes a token.
/// </remarks>
sealed record TrainingSet
{
    public required IReadOnlyList<TraceTokens> Sequences { get; init; }

    /// <summary>Those that are evaluated on instead: of a fraction of the problems.</summary>
    public IReadOnlyList<TraceTokens> HeldOut { get; init; } = [];

    /// <summary>Traces cut off by a token limit: their end was never seen.</summary>
    public int Unfinished { get; init; }

    /// <summary>Traces not verified as correct, where only those were asked for.</summary>
    public int NotCorrect { get; init; }

    /// <summary>Sequences longer than the student's positions.</summary>
    public int TooLong { get; init; }

    /// <summary>Tokens of the longest sequence, one that was left out included.</summary>
    public required int Longest { get; init; }

    /// <summary>Tokens of the longest prompt.</summary>
    public required int LongestPrompt { get; init; }

    /// <summary>The prompts in which problems were put; null where that is not known, or there are no traces.</summary>
    public TaskDescription? Task { get; init; }

    /// <summary>
    /// Share of the soft targets that a student with another vocabulary than the teacher's has; null where they share one.
    /// </summary>
    public AlignmentSurvival? Survival { get; init; }

    /// <summary>
    /// Remarks on sequences that were too long, on the teacher's prompts and ends, and on logprobs that are not its own: a line each.
    /// </summary>
    public IReadOnlyList<string> Remarks { get; init; } = [];

    /// <summary>Reads and aligns everything that <paramref name="options"/> names.</summary>
    /// <exception cref="InvalidInputException">Nothing is left to learn from, or the traces are of another tokenizer.</exception>
    public static async Task<TrainingSet> ReadAsync(
        TrainOptions options, Tokenizer tokenizer, ChatSequence chat, int maxLength, CancellationToken cancellationToken)
    {
        var (sequences, heldOut) = (new List<TraceTokens>(), new List<TraceTokens>());
        int unfinished = 0, notCorrect = 0;
        AlignmentSurvival? survival = null;
        TaskDescription? task = null;
        var remarks = new List<string>();
        var specials = new SpecialTokensInText(tokenizer);
        if (options.Traces is { } path)
        {
            var reader = await ShardReader.OpenAsync(path, cancellationToken: cancellationToken);
            var teacher = TeacherTokenizer.Of(path, options.TeacherTokenizer, reader.Dataset, tokenizer);
            reader.EnsureCompatible((teacher ?? tokenizer).Hash, (teacher ?? tokenizer).VocabularySize);
            var aligner = new TokenAligner(tokenizer, chat, reader.Dataset, path, options.KdTopK, teacher);
            await foreach (var trace in reader.ReadAsync(cancellationToken))
            {
                if (sequences.Count + heldOut.Count == options.MaxTraces)
                {
                    break;
                }

                // The end token behind a part of an answer, or behind a call whose result is still to come, would teach the student to stop
                // there.
                if (!FinishReasons.IsNatural(trace.FinishReason) || trace.ToolCalls is not null)
                {
                    unfinished++;
                }
                else if (options.OnlyCorrect && trace.Verdict != Verdict.Correct.ToName())
                {
                    notCorrect++;
                }
                else
                {
                    if (sequences.Count + heldOut.Count == 0)
                    {
                        // Traces bring their prompts; a template that cannot render one is found out now, and not by whoever serves the
                        // student.
                        _ = chat.Prompt(trace.Messages);
                    }

                    specials.Look(trace.Messages, trace.ProblemId);
                    (IsHeldOut(trace.ProblemId, options) ? heldOut : sequences).Add(aligner.Align(trace));
                }
            }

            task = TaskDescription.OfTraces(path, reader.Dataset);
            survival = aligner.Survival;
            EnsureAligned(survival, options);
            remarks.AddRange([aligner.DescribeTemplates(), .. aligner.DescribeLogprobs()]);
        }

        if (options.Problems is { } problems)
        {
            var read = ProblemReader.ReadAsync(problems, options, cancellationToken: cancellationToken);
            await foreach (var problem in read.Where(problem => problem.Solution is not null))
            {
                specials.Look(problem.Conversation(), problem.Id);
                sequences.Add(chat.FromSolution(problem));
            }
        }

        if (specials.Describe("the student") is { } written)
        {
            remarks.Add(written);
        }

        // Of answers that came as tokens, what looks like an end is text; of others, text that looks like an end is one.
        var hard = sequences.Where(sequence => sequence.Soft is null);
        if (hard.Count(sequence => sequence.Ids.Skip(sequence.FirstTrained).SkipLast(1).Any(chat.Ends.Contains)) is > 0 and var ended)
        {
            remarks.Add($"answers with an end token of the student written in their text: {ended:N0}; it learns to stop there");
        }

        var fitting = sequences.Where(sequence => sequence.Ids.Length <= maxLength && sequence.Trained > 0).ToList();
        if (fitting.Count == 0 && heldOut.Count > 0)
        {
            throw new InvalidInputException($"{options.Traces}: eval_fraction {options.EvalFraction} holds out all traces that there are; lower it");
        }

        var tooLong = sequences.Count(sequence => sequence.Ids.Length > maxLength);
        if (tooLong > 0)
        {
            remarks.Insert(0, DescribeTooLong(options, sequences, tooLong, maxLength));
        }

        if (fitting.Count == 0)
        {
            string?[] reasons =
            [
                unfinished > 0 ? $"{unfinished} unfinished (collect with a larger max_tokens and reask: [length])" : null,
                notCorrect > 0 ? $"{notCorrect} not correct (leave only_correct out)" : null,
                tooLong > 0 ? remarks[0] : null,
            ];
            var reason = string.Join("; ", reasons.OfType<string>());
            throw new InvalidInputException(
                $"{options.Traces ?? options.Problems}: nothing to train on: "
                + (reason.Length > 0 ? reason : "no trace, and no problem with a worked solution"));
        }

        return new TrainingSet
        {
            Sequences = fitting, HeldOut = [.. heldOut.Where(sequence => sequence.Ids.Length <= maxLength && sequence.Trained > 0)], Unfinished = unfinished, NotCorrect = notCorrect, TooLong = tooLong, Survival = survival,
            Remarks = remarks,
            Longest = sequences.Max(sequence => sequence.Ids.Length), LongestPrompt = sequences.Max(sequence => sequence.FirstTrained),
            Task = task is { MaxTokens: null } ? task with { MaxTokens = sequences.Max(sequence => sequence.Trained) } : task,
        };
    }

    /// <summary>Whole problems are held out, whatever the order and number of their traces.</summary>
    static bool IsHeldOut(string problem, TrainOptions options)
    {
        if (options.EvalFraction == 0)
        {
            return false;
        }

        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{options.Seed} held out {problem}"));
        return BinaryPrimitives.ReadUInt32LittleEndian(hash) < options.EvalFraction * uint.MaxValue;
    }

    static string DescribeTooLong(TrainOptions options, List<TraceTokens> sequences, int tooLong, int maxLength)
    {
        var (isSet, longest) = (options.MaxLength == maxLength, sequences.Max(sequence => sequence.Ids.Length));
        var limit = isSet ? $"max_length {maxLength}" : $"the student's {maxLength} positions";
        var advice = isSet ? $"raise max_length to {longest}"
            : options.Student is null ? $"add max_position_embeddings: {longest} to architecture"
            : "take a student with more positions";
        return FormattableString.Invariant(
            $"{tooLong} of {sequences.Count} sequences ({(double)tooLong / sequences.Count:P1}) are longer than {limit} and left out; ")
            + $"the longest has {longest} tokens: {advice}";
    }

    static void EnsureAligned(AlignmentSurvival? survival, TrainOptions options)
    {
        if (survival is { } left && Math.Min(left.Positions, left.Mass) < options.KdMinAlignment)
        {
            var share = FormattableString.Invariant($"{left.Positions:P1} of the tokens and {left.Mass:P1} of the probability");
            throw new InvalidInputException(FormattableString.Invariant(
                $"{options.Traces}: of the teacher's soft targets {share} are left in the student's vocabulary, ")
                + FormattableString.Invariant($"less than kd_min_alignment {options.KdMinAlignment}: ")
                + "take a student with a closer tokenizer, or lower it");
        }
    }
}

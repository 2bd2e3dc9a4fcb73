using System.Security.Cryptography;
using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Head;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training.Pretraining;

/// <summary>Result of <c>pretrain</c>.</summary>
/// <param name="Parameters">Number of weights.</param>
/// <param name="VocabularySize">Ids of the tokenizer.</param>
/// <param name="Steps">Updates.</param>
/// <param name="Loss">Mean cross entropy of the last update, nats.</param>
public sealed record PretrainSummary(long Parameters, int VocabularySize, long Steps, double Loss);

/// <summary>Trains tokenizer and model from scratch: the teacher that a fresh clone runs on was made by it.</summary>
public static class PretrainStage
{
    /// <summary>Texts that the vocabulary is learned from.</summary>
    const int TokenizerTexts = 20_000;

    /// <summary>Generated problems, which have no end, whose lengths are looked at before training.</summary>
    const int SeenTexts = 1_000;

    /// <summary>
    /// Writes a model directory, going on from an interrupted run in it; where this very run is finished there, nothing is left to do.
    /// </summary>
    /// <exception cref="InvalidInputException">
    /// The problems cannot be read or are all longer than the model's positions, or the folder holds another run's model.
    /// </exception>
    public static PretrainSummary Run(
        PretrainOptions options,
        string directory,
        IRunObserver observer,
        CancellationToken cancellationToken = default
    )
    {
        var device = options.Device.Resolve();
        var fixedSet = options.Problems is null
            ? null
            : ProblemReader
                .ReadAsync(options.Problems, options, cancellationToken: cancellationToken)
                .ToBlockingEnumerable(cancellationToken)
                .ToList();
        var state = new TrainingState(directory, Fingerprint(options, fixedSet));
        var finished = state.Claim();
        if (finished is null)
        {
            TokenizerSetup.Create(
                (fixedSet ?? Generated(options))
                    .Take(TokenizerTexts)
                    .Select(problem => problem.Text + ChatSequence.Completion(problem.Solution ?? "", problem.Answer)),
                options.VocabSize,
                options.Architecture.MaxPositionEmbeddings ?? ModelArchitecture.LeastPositions,
                directory
            );
        }

        var tokenizer = Tokenizer.Load(directory);
        using var parameters = new ModelParameters(options.Architecture.Configure(tokenizer.VocabularySize, tokenizer.EndOfSequenceIds));
        var blocks = options.Blocks(parameters.Configuration);
        if (finished is not { } end)
        {
            parameters.Initialize(options.Seed);
            observer.Message($"pretraining a model of {parameters.Count:N0} parameters on {tokenizer.VocabularySize} tokens");
            if (blocks is not null)
            {
                observer.Message($"training for {blocks}");
                if (options.RoundsBlocks(device))
                {
                    observer.Message(OptimizationOptions.BlocksAreRounded);
                }
            }

            var chat = new ChatSequence(tokenizer, ChatTemplate.Load(directory));
            var positions = parameters.Configuration.MaxPositionEmbeddings;
            var written = (fixedSet ?? Generated(options)).Select(chat.FromSolution);
            TraceTokens[] seen = [.. fixedSet is null ? written.Take(SeenTexts) : written];
            LookForTooLong(
                seen,
                positions,
                options.Problems ?? FormattableString.Invariant($"the first {SeenTexts:N0} generated problems"),
                observer
            );
            var sequences = fixedSet is null ? null : seen.Where(IsFitting).ToArray();
            var plan = sequences is null ? null : new BatchPlan([SequenceSet.Of(sequences)], options.UpdateTokens, options.Seed);
            options = options with { MaxSteps = options.StepsFor(plan) };
            IBatchSource batches = plan is null
                ? new EndlessBatches(written.Where(IsFitting), options.UpdateTokens)
                : new BatchStream(plan);
            var longest = sequences?.Max(sequence => sequence.Ids.Length) ?? positions;
            TrainingMemory.Ensure(options, TrainedWeights.All(parameters), device, longest, observer);
            end = TrainingMemory.Advised(options, device, longest, () =>
            {
                parameters.HoldAs(options.MasterDtype.ToScalarType());
                parameters.MoveTo(device);
                using var trainer = new Trainer(options, TrainedWeights.All(parameters), observer, saveModel: WriteModel);
                return trainer.Run(batches, ObjectivePlan.HardLoss(options.ZLossWeight), state, cancellationToken);
            });
            ModelDirectory.Save(directory, parameters, options.Dtype, blocks: blocks);
            state.Finish(end);

            bool IsFitting(TraceTokens sequence) => sequence.Ids.Length <= positions;
        }

        return new PretrainSummary(parameters.Count, tokenizer.VocabularySize, end.Steps, end.Loss);

        void WriteModel(string folder)
        {
            ModelDirectory.CopyTokenizer(directory, folder);
            ModelDirectory.Save(folder, parameters, options.Dtype, blocks: blocks);
        }
    }

    /// <summary>Tells of sequences that are longer than the model's positions, which are left out.</summary>
    /// <exception cref="InvalidInputException">All of them are.</exception>
    static void LookForTooLong(TraceTokens[] sequences, int positions, string name, IRunObserver observer)
    {
        var tooLong = sequences.Count(sequence => sequence.Ids.Length > positions);
        if (tooLong == 0)
        {
            return;
        }

        var longest = sequences.Max(sequence => sequence.Ids.Length);
        var told =
            FormattableString.Invariant($"{tooLong} of {sequences.Length} sequences ({(double)tooLong / sequences.Length:P1}) are longer ")
            + $"than the model's {positions} positions and left out; the longest has {longest} tokens: "
            + $"add max_position_embeddings: {longest} to architecture";
        if (tooLong == sequences.Length)
        {
            throw new InvalidInputException($"{name}: nothing to train on: {told}");
        }

        observer.Message($"{name}: {told}");
    }

    static IEnumerable<Problem> Generated(PretrainOptions options) =>
        ProblemGenerator.Stream(options.Family, options.Seed, ProblemSplit.Train);

    /// <summary>
    /// Everything that decides a run: the settings and the very problems. Where their file lies and what its fields are called does not.
    /// </summary>
    static string Fingerprint(PretrainOptions options, IReadOnlyList<Problem>? fixedSet)
    {
        var deciding = (PretrainOptions)options.Deciding() with { Problems = null };
        var json = JsonSerializer.SerializeToUtf8Bytes(new { Options = deciding, Problems = fixedSet });
        return Convert.ToHexStringLower(SHA256.HashData(json));
    }
}

using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Core.Alignment;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Packing;
using TraceDistill.Core.Problems;
using TraceDistill.Core.Tokenization;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Losses;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Pretraining;

/// <summary>Trains tokenizer and model from nothing: the teacher that a fresh clone runs on was made by it.</summary>
public static class PretrainStage
{
    /// <summary>Texts that the vocabulary is learned from.</summary>
    const int TokenizerTexts = 20_000;
    static readonly DistillationSettings HardLossOnly = new(0, 1, MissingMass.TailBucket);

    /// <summary>Writes a model directory, going on from an interrupted run in it.</summary>
    public static PretrainSummary Run(PretrainOptions options, string directory, IRunObserver observer, CancellationToken cancellationToken = default)
    {
        Directory.CreateDirectory(directory);
        var fixedSet = options.Problems is null ? null : ProblemReader.ReadAsync(options.Problems, cancellationToken: cancellationToken).ToBlockingEnumerable(cancellationToken).ToList();
        TokenizerSetup.Create(
            (fixedSet ?? Generated(options)).Take(TokenizerTexts).Select(problem => problem.Text + ChatSequence.Completion(problem.Solution ?? "", problem.Answer)),
            options.VocabSize, options.Architecture.MaxPositionEmbeddings, directory);
        var tokenizer = Tokenizer.Load(directory);
        var chat = new ChatSequence(tokenizer, ChatTemplate.Load(directory));
        using var parameters = new ModelParameters(options.Architecture.Configure(tokenizer.VocabularySize, tokenizer.EndOfSequenceIds));
        parameters.Initialize(options.Seed);
        observer.Message($"pretraining a model of {parameters.Count:N0} parameters on {tokenizer.VocabularySize} tokens");

        var batchTokens = options.BatchTokens * options.GradientAccumulationSteps;
        var batches = fixedSet is null
            ? Streamed(Generated(options).Select(chat.FromSolution), batchTokens)
            : Shuffled([.. fixedSet.Select(chat.FromSolution)], batchTokens, options.Seed);
        var state = new TrainingState(Path.Combine(directory, "training.state"), Fingerprint(options));
        var metrics = new Trainer(options, parameters, observer).Run(batches, _ => HardLossOnly, state, cancellationToken);
        ModelDirectory.Save(directory, parameters, options.Dtype);
        state.Delete();
        return new PretrainSummary(parameters.Count, tokenizer.VocabularySize, options.MaxSteps, metrics.Loss);
    }

    static IEnumerable<Problem> Generated(PretrainOptions options) =>
        ProblemGenerator.Stream(options.Family, checked((int)options.Seed), ProblemSplit.Train);

    /// <summary>Batches of an endless stream: nothing is seen twice.</summary>
    static IEnumerable<IReadOnlyList<TraceTokens>> Streamed(IEnumerable<TraceTokens> sequences, int batchTokens)
    {
        var batch = new List<TraceTokens>();
        var tokens = 0;
        foreach (var sequence in sequences)
        {
            if (batch.Count > 0 && tokens + sequence.Ids.Length > batchTokens)
            {
                yield return batch;
                batch = [];
                tokens = 0;
            }

            batch.Add(sequence);
            tokens += sequence.Ids.Length;
        }
    }

    static IEnumerable<IReadOnlyList<TraceTokens>> Shuffled(TraceTokens[] sequences, int batchTokens, long seed) =>
        SequencePacker.Batches([.. sequences.Select(sequence => sequence.Ids.Length)], batchTokens, seed)
            .Select(indices => indices.Select(index => sequences[index]).ToArray());

    static string Fingerprint(PretrainOptions options) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(options))));
}

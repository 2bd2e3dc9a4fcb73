using TraceDistill.Data.Determinism;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Optimization;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distillation;

/// <summary>The further students of a training, before its first step and after its last.</summary>
sealed class TrainingPeers : IDisposable
{
    TrainingPeers(IReadOnlyList<TrainedWeights> trained) => Trained = trained;

    /// <summary>Their weights, all of which are trained.</summary>
    public IReadOnlyList<TrainedWeights> Trained { get; }

    /// <summary>Their models.</summary>
    public IEnumerable<ModelParameters> Models => Trained.Select(peer => (ModelParameters)peer.Model);

    /// <summary>Makes or loads them.</summary>
    /// <param name="options">Say which.</param>
    /// <param name="tokenizer">The first student's, and so theirs.</param>
    /// <param name="longest">Tokens of the longest sequence.</param>
    /// <param name="begin">Makes a student of its options.</param>
    /// <exception cref="InvalidInputException">One is not there, or of another vocabulary, or has too few positions.</exception>
    public static TrainingPeers Begin(TrainOptions options, Tokenizer tokenizer, int longest, Func<TrainOptions, TrainedWeights> begin)
    {
        var trained = new List<TrainedWeights>();
        try
        {
            foreach (var (index, peer) in options.Peers.Index())
            {
                if (peer.Student is { } directory && ModelDirectory.LoadTokenizer(directory).Hash != tokenizer.Hash)
                {
                    throw new InvalidInputException($"peers: {directory} does not have the tokenizer of the first student");
                }

                trained.Add(
                    begin(
                        options with
                        {
                            Student = peer.Student ?? (peer.Architecture is null ? options.Student : null),
                            Architecture = peer.Architecture ?? (peer.Student is null ? options.Architecture : null),
                            InitFrom = peer.Architecture is null && peer.Student is null ? options.InitFrom : null,
                            Seed = peer.Seed ?? SeedOf(options.Seed, index + 1),
                        }
                    )
                );
                if (trained[^1].Model.Configuration.MaxPositionEmbeddings is var positions && positions < longest)
                {
                    throw new InvalidInputException(
                        $"peers: peer {index + 1} has {positions} positions, and the longest sequence {longest} tokens; "
                            + $"set max_length: {positions}"
                    );
                }
            }
        }
        catch
        {
            trained.ForEach(peer => peer.Model.Dispose());
            throw;
        }

        return new TrainingPeers(trained);
    }

    /// <summary>The seed of a peer that is given none: far from those of other runs, whose seeds are often one beside the other.</summary>
    /// <param name="seed">The run's.</param>
    /// <param name="number">The peer's, from 1.</param>
    internal static long SeedOf(long seed, int number) =>
        (long)(new SplitMix64(new SplitMix64((ulong)seed).Next() + (ulong)number).Next() >> 1);

    /// <summary>Bytes that their weights, gradients, moments and activations come to take.</summary>
    public long BytesOf(TrainOptions options, Device device, int longest) =>
        Trained.Sum(peer => TrainingMemory.Held(options, peer) + TrainingMemory.Estimate(options, peer, longest, device));

    /// <summary>Takes them to where they are trained.</summary>
    /// <param name="device">The first student's.</param>
    /// <param name="dtype">In which weights are held.</param>
    public void MoveTo(Device device, MasterDtype dtype)
    {
        foreach (var peer in Trained)
        {
            peer.Weights.HoldAs(dtype.ToScalarType());
            peer.MoveTo(device);
        }
    }

    public void Dispose()
    {
        foreach (var peer in Trained)
        {
            peer.Model.Dispose();
        }
    }
}

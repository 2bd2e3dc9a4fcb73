using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;
using TraceDistill.Models.Weights;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training;

/// <summary>
/// What a training run needs to go on to the same bits: step, trained weights and their moments in one file that is replaced atomically, with a
/// checksum, under a fingerprint of everything that decides the run. Once the run is finished, fingerprint and final loss stay: the folder is
/// known to hold this run's model, and no other run writes over it.
/// </summary>
/// <param name="directory">The model directory that the run makes.</param>
/// <param name="fingerprint">Options and inputs of the run.</param>
public sealed class TrainingState(string directory, string fingerprint)
{
    /// <summary>Hidden, so that it is no part of the model.</summary>
    public const string FileName = ".training.state";

    readonly string _path = Path.Combine(directory, FileName);

    /// <summary>Of the engine whose gradients were written out by hand: its sums have other last bits.</summary>
    static ReadOnlySpan<byte> FormerMagic => "TDSTATE2"u8;

    static ReadOnlySpan<byte> Magic => "TDSTATE3"u8;

    /// <summary>Takes the folder for this run, before anything is written into it.</summary>
    /// <returns>The final loss where this very run is finished there; null where something is left to do.</returns>
    /// <exception cref="InvalidInputException">The folder holds another run's model or work.</exception>
    public double? Claim()
    {
        var hasModel = ModelDirectory.Exists(directory);
        if (File.Exists(_path))
        {
            using var reader = new BinaryReader(File.OpenRead(_path));
            return ReadHeader(reader) is { FinalLoss: { } loss } && hasModel ? loss : null;
        }

        if (hasModel)
        {
            throw OfAnotherRun();
        }

        Directory.CreateDirectory(directory);
        AtomicFile.Write(_path, stream => WriteHeader(stream, new Header(0, null)));
        return null;
    }

    /// <summary>Loads weights and moments if there are any.</summary>
    /// <returns>Updates already made; 0 to start afresh.</returns>
    /// <exception cref="InvalidInputException">The state is damaged or another run's.</exception>
    public long Restore(TrainedWeights weights, WeightOptimizer optimizer)
    {
        if (!File.Exists(_path))
        {
            return 0;
        }

        using var reader = new BinaryReader(File.OpenRead(_path));
        if (ReadHeader(reader) is not { Step: > 0 and var step })
        {
            return 0;
        }

        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            Visit(weights, optimizer, bytes =>
            {
                reader.BaseStream.ReadExactly(bytes);
                hash.AppendData(bytes);
            });
            return reader.ReadBytes(32).AsSpan().SequenceEqual(hash.GetHashAndReset()) ? step : throw Damaged();
        }
        catch (EndOfStreamException)
        {
            throw Damaged();
        }
    }

    /// <summary>Publishes the state after <paramref name="step"/> updates.</summary>
    public void Save(long step, TrainedWeights weights, WeightOptimizer optimizer) => AtomicFile.Write(_path, stream =>
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        WriteHeader(stream, new Header(step, null));
        Visit(weights, optimizer, bytes =>
        {
            stream.Write(bytes);
            hash.AppendData(bytes);
        });
        stream.Write(hash.GetHashAndReset());
    });

    /// <summary>Notes that the model is written, and lets go of what was needed to go on.</summary>
    public void Finish(double finalLoss) => AtomicFile.Write(_path, stream => WriteHeader(stream, new Header(0, finalLoss)));

    delegate void BytesVisitor(Span<byte> bytes);

    /// <summary>All that is kept, in the order of the file.</summary>
    static void Visit(TrainedWeights weights, WeightOptimizer optimizer, BytesVisitor visit)
    {
        const int Piece = 1 << 28; // A span counts bytes in int.
        foreach (var name in weights.Names)
        {
            for (var rest = weights.Weights.Values(name); !rest.IsEmpty; rest = rest[Math.Min(Piece, rest.Length)..])
            {
                visit(MemoryMarshal.AsBytes(rest[..Math.Min(Piece, rest.Length)]));
            }
        }

        foreach (var moment in new[] { optimizer.Mean, optimizer.MeanSquare })
        {
            foreach (var (start, count) in moment.Pieces(Piece))
            {
                visit(MemoryMarshal.AsBytes(moment.Slice(start, count)));
            }
        }
    }

    Header ReadHeader(BinaryReader reader)
    {
        try
        {
            var magic = reader.ReadBytes(Magic.Length).AsSpan();
            if (magic.SequenceEqual(FormerMagic))
            {
                throw OfFormerEngine();
            }

            if (!magic.SequenceEqual(Magic) || reader.ReadString() != fingerprint)
            {
                throw OfAnotherRun();
            }

            return new Header(reader.ReadInt64(), reader.ReadBoolean() ? reader.ReadDouble() : null);
        }
        catch (EndOfStreamException)
        {
            throw Damaged();
        }
    }

    void WriteHeader(Stream stream, Header header)
    {
        using var writer = new BinaryWriter(stream, System.Text.Encoding.UTF8, leaveOpen: true);
        writer.Write(Magic);
        writer.Write(fingerprint);
        writer.Write(header.Step);
        writer.Write(header.FinalLoss.HasValue);
        if (header.FinalLoss is { } loss)
        {
            writer.Write(loss);
        }
    }

    InvalidInputException Damaged() => new($"{_path}: the checkpoint is truncated or damaged; delete it, and the model beside it, to train from the start");

    InvalidInputException OfFormerEngine() => new(
        $"{directory}: holds a training of a former version's engine, which cannot be gone on with; name another folder with --out, or delete this one (a finished model in it loads with student:)");

    InvalidInputException OfAnotherRun() => new(
        $"{directory}: holds a model, finished or not, that was not made by this training (other options, traces or weights to start from); name another folder with --out, or delete this one");

    /// <param name="Step">Updates made; weights and moments follow where it is not 0.</param>
    /// <param name="FinalLoss">Of a finished run.</param>
    readonly record struct Header(long Step, double? FinalLoss);
}

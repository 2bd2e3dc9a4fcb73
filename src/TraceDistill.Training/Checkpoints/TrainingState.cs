using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;
using TraceDistill.Training.Models;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training.Checkpoints;

/// <summary>
/// What a training run needs to go on to the same bits: step, weights and both moments in one file that is replaced atomically, with a
/// checksum, under a fingerprint of everything that decides the run.
/// </summary>
/// <param name="path">The state file.</param>
/// <param name="fingerprint">Options and inputs of the run; a state under another one is not this run's and is ignored.</param>
public sealed class TrainingState(string path, string fingerprint)
{
    static ReadOnlySpan<byte> Magic => "TDSTATE1"u8;

    /// <summary>Loads weights and moments if there is a state of this run.</summary>
    /// <returns>Updates already made; 0 to start afresh.</returns>
    /// <exception cref="InvalidInputException">The state is this run's but damaged.</exception>
    public long Restore(ModelParameters parameters, WeightOptimizer optimizer)
    {
        if (!File.Exists(path))
        {
            return 0;
        }

        using var stream = File.OpenRead(path);
        using var reader = new BinaryReader(stream);
        try
        {
            if (!reader.ReadBytes(Magic.Length).AsSpan().SequenceEqual(Magic) || reader.ReadString() != fingerprint)
            {
                return 0;
            }

            var step = reader.ReadInt64();
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (var buffer in new[] { parameters.Flat, optimizer.Mean, optimizer.MeanSquare })
            {
                var bytes = MemoryMarshal.AsBytes(buffer.Span);
                stream.ReadExactly(bytes);
                hash.AppendData(bytes);
            }

            return reader.ReadBytes(32).AsSpan().SequenceEqual(hash.GetHashAndReset()) ? step : throw Damaged();
        }
        catch (EndOfStreamException)
        {
            throw Damaged();
        }
    }

    /// <summary>Publishes the state after <paramref name="step"/> updates.</summary>
    public void Save(long step, ModelParameters parameters, WeightOptimizer optimizer) => AtomicFile.Write(path, stream =>
    {
        using var writer = new BinaryWriter(stream, System.Text.Encoding.UTF8, leaveOpen: true);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        writer.Write(Magic);
        writer.Write(fingerprint);
        writer.Write(step);
        foreach (var buffer in new[] { parameters.Flat, optimizer.Mean, optimizer.MeanSquare })
        {
            var bytes = MemoryMarshal.AsBytes(buffer.Span);
            writer.Write(bytes);
            hash.AppendData(bytes);
        }

        writer.Write(hash.GetHashAndReset());
    });

    /// <summary>Removes the state of a finished run.</summary>
    public void Delete() => File.Delete(path);

    InvalidInputException Damaged() => new($"{path}: the checkpoint is truncated or damaged; delete it to train from the start");
}

using System.Security.Cryptography;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Training;

/// <summary>
/// State from which a training run goes on to the same bits: step, trained weights and their moments in one file that is replaced
/// atomically, with a checksum, under a fingerprint of everything that decides the run. Once the run is finished, fingerprint
/// and final loss stay: the folder is known to hold this run's model, and no other run writes over it.
/// </summary>
/// <param name="directory">The model directory that the run makes.</param>
/// <param name="fingerprint">Options and inputs of the run.</param>
/// <param name="models">Folders of the models that it makes; null for one, in the directory itself.</param>
public sealed class TrainingState(string directory, string fingerprint, IReadOnlyList<string>? models = null)
{
    /// <summary>Hidden, so that it is no part of the model.</summary>
    public const string FileName = ".training.state";

    /// <summary>The model directory that the run makes.</summary>
    public string Directory => directory;

    /// <summary>Folder of the model while it is asked, or before it has its name; hidden as well.</summary>
    internal const string ModelName = ".training.model";

    const string BestPrefix = ".training.best-";

    /// <summary>Begins the names of what was computed once, at the beginning.</summary>
    const string OncePrefix = ".training.once-";

    readonly string _path = Path.Combine(directory, FileName);

    static ReadOnlySpan<byte> Magic => "TDSTATE6"u8;

    /// <summary>
    /// Returns whether a state is of an earlier version: of the engine whose gradients were written out by hand,
    /// or of this one in a layout that knew nothing of interrupted evaluations, or of losses that cannot be compared.
    /// </summary>
    static bool IsOfEarlierVersion(ReadOnlySpan<byte> magic) =>
        magic.SequenceEqual("TDSTATE2"u8)
        || magic.SequenceEqual("TDSTATE3"u8)
        || magic.SequenceEqual("TDSTATE4"u8)
        || magic.SequenceEqual("TDSTATE5"u8);

    /// <summary>
    /// Takes the folder for this run, before anything is written into it. What a run that ended before its first checkpoint left is free;
    /// what one that was killed was writing, or was about to delete, is deleted.
    /// </summary>
    /// <returns>How this very run ended, where it is finished; null where something is left to do.</returns>
    /// <exception cref="InvalidInputException">The folder holds another run's model or work.</exception>
    public FinishedTraining? Claim()
    {
        IReadOnlyList<string> folders = models ?? [directory];
        var hasModel = folders.Any(ModelDirectory.Exists);
        if (File.Exists(_path))
        {
            using var reader = new BinaryReader(File.OpenRead(_path));
            var header = ReadHeader(reader);
            if (header.Run == fingerprint)
            {
                DeleteBest(except: header.Progress.BestStep);
                DeleteModel();
                if (header.FinalLoss is not null)
                {
                    DeleteOnce(); // killed while it finished
                }

                return header.FinalLoss is { } loss && folders.All(ModelDirectory.Exists)
                    ? new FinishedTraining(header.Progress.Step, loss)
                    : null;
            }

            hasModel |= !header.IsUntouched;
        }

        if (hasModel)
        {
            throw OfAnotherRun();
        }

        System.IO.Directory.CreateDirectory(directory);
        DeleteOnce();
        AtomicFile.Write(_path, stream => WriteHeader(stream, new Header(fingerprint, default, null)));
        return null;
    }

    /// <summary>Loads the trained weights, and what else is visited, if there is a state to go on from.</summary>
    /// <param name="weights">The trained weights.</param>
    /// <param name="others">Shows the memory of all else that belongs to the state, in the order of <see cref="Save"/>.</param>
    /// <returns>How far the training is; nothing done to start afresh.</returns>
    /// <exception cref="InvalidInputException">The state is damaged or another run's.</exception>
    public TrainingProgress Restore(TrainedWeights weights, Action<BytesVisitor> others)
    {
        if (!File.Exists(_path))
        {
            return default;
        }

        using var reader = new BinaryReader(File.OpenRead(_path));
        var header = ReadHeader(reader);
        if (header.Run != fingerprint)
        {
            throw OfAnotherRun();
        }

        if (header.Progress is not { Step: > 0 } progress)
        {
            return default;
        }

        ReadBody(reader, visit => Visit(weights, others, visit), _path);
        return progress;
    }

    /// <summary>Publishes the state after some steps.</summary>
    public void Save(TrainingProgress progress, TrainedWeights weights, Action<BytesVisitor> others)
    {
        AtomicFile.Write(_path, stream =>
        {
            WriteHeader(stream, new Header(fingerprint, progress, null));
            WriteBody(stream, visit => Visit(weights, others, visit));
        });
        DeleteBest(except: progress.BestStep);
    }

    /// <summary>Keeps the trained weights as the best so far, beside those that the last <see cref="Save"/> knows.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="step">Updates made, <see cref="TrainingProgress.BestStep"/> from now on.</param>
    public void SaveBest(TrainedWeights weights, long step) =>
        AtomicFile.Write(BestPath(step), stream => WriteBody(stream, visit => Visit(weights, _ => { }, visit)));

    /// <summary>Puts back the weights of <see cref="SaveBest"/>.</summary>
    public void LoadBest(TrainedWeights weights, long step)
    {
        using var reader = new BinaryReader(File.OpenRead(BestPath(step)));
        ReadBody(reader, visit => Visit(weights, _ => { }, visit), BestPath(step));
    }

    /// <summary>Has something computed once for the whole training: whoever goes on reads it from a file.</summary>
    /// <param name="name">Of the file, behind a prefix.</param>
    /// <param name="compute">Computes it; not invoked where it is there.</param>
    /// <param name="all">Shows its memory.</param>
    /// <exception cref="InvalidInputException">The file is damaged.</exception>
    public void Once(string name, Action compute, Action<BytesVisitor> all)
    {
        var path = Path.Combine(directory, OncePrefix + name);
        if (File.Exists(path))
        {
            using var reader = new BinaryReader(File.OpenRead(path));
            ReadBody(reader, all, path);
            return;
        }

        compute();
        AtomicFile.Write(path, stream => WriteBody(stream, all));
    }

    /// <summary>Records that the model is written, and deletes what was needed to resume.</summary>
    public void Finish(FinishedTraining end)
    {
        AtomicFile.Write(_path, stream =>
            WriteHeader(stream, new Header(fingerprint, new TrainingProgress { Step = end.Steps }, end.Loss))
        );
        DeleteBest(except: 0);
        DeleteOnce();
    }

    void DeleteOnce()
    {
        foreach (var path in System.IO.Directory.GetFiles(directory, OncePrefix + "*"))
        {
            File.Delete(path);
        }
    }

    string BestPath(long step) => Path.Combine(directory, FormattableString.Invariant($"{BestPrefix}{step}"));

    /// <param name="except">The step whose weights are kept; 0 for none.</param>
    void DeleteBest(long except)
    {
        foreach (var path in System.IO.Directory.GetFiles(directory, BestPrefix + "*").Where(path => path != BestPath(except)))
        {
            File.Delete(path);
        }
    }

    void DeleteModel()
    {
        var model = Path.Combine(directory, ModelName);
        if (System.IO.Directory.Exists(model))
        {
            System.IO.Directory.Delete(model, recursive: true);
        }
    }

    static void WriteBody(Stream stream, Action<BytesVisitor> all)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        all(bytes =>
        {
            stream.Write(bytes);
            hash.AppendData(bytes);
            return false;
        });
        stream.Write(hash.GetHashAndReset());
    }

    static void ReadBody(BinaryReader reader, Action<BytesVisitor> all, string path)
    {
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            all(bytes =>
            {
                reader.BaseStream.ReadExactly(bytes);
                hash.AppendData(bytes);
                return true;
            });
            if (!reader.ReadBytes(32).AsSpan().SequenceEqual(hash.GetHashAndReset()))
            {
                throw Damaged(path);
            }
        }
        catch (EndOfStreamException)
        {
            throw Damaged(path);
        }
    }

    /// <summary>All that is kept, in the order of the file.</summary>
    static void Visit(TrainedWeights weights, Action<BytesVisitor> others, BytesVisitor visit)
    {
        foreach (var name in weights.Names)
        {
            weights.Weights.Flat.Visit(weights.Weights.OffsetOf(name), weights.Weights.ShapeOf(name).ElementCount(), visit);
        }

        others(visit);
    }

    Header ReadHeader(BinaryReader reader)
    {
        try
        {
            var magic = reader.ReadBytes(Magic.Length).AsSpan();
            if (IsOfEarlierVersion(magic))
            {
                throw OfEarlierVersion();
            }

            if (!magic.SequenceEqual(Magic))
            {
                throw OfAnotherRun();
            }

            return new Header(reader.ReadString(), TrainingProgress.Read(reader), reader.ReadBoolean() ? reader.ReadDouble() : null);
        }
        catch (EndOfStreamException)
        {
            throw Damaged(_path);
        }
    }

    static void WriteHeader(Stream stream, Header header)
    {
        using var writer = new BinaryWriter(stream, System.Text.Encoding.UTF8, leaveOpen: true);
        writer.Write(Magic);
        writer.Write(header.Run);
        header.Progress.Write(writer);
        writer.Write(header.FinalLoss.HasValue);
        if (header.FinalLoss is { } loss)
        {
            writer.Write(loss);
        }
    }

    static InvalidInputException Damaged(string path) =>
        new($"{path}: the checkpoint is truncated or damaged; delete it, and the model beside it, to train from the start");

    InvalidInputException OfEarlierVersion() =>
        new(
            $"{directory}: holds a training of an earlier version of this program, which this one cannot resume; "
                + "name another folder with --out, or delete this one (a finished model in it loads with student:)"
        );

    InvalidInputException OfAnotherRun() =>
        new(
            $"{directory}: holds a model, finished or not, that was not made by this training (other options, "
                + "traces or weights to start from); name another folder with --out, or delete this one"
        );

    /// <param name="Run">Fingerprint of the run.</param>
    /// <param name="Progress">Weights and moments follow where a step is made and the run is not finished.</param>
    /// <param name="FinalLoss">Of a finished run.</param>
    readonly record struct Header(string Run, TrainingProgress Progress, double? FinalLoss)
    {
        /// <summary>True where nothing was trained.</summary>
        public bool IsUntouched => Progress.Step == 0 && FinalLoss is null;
    }
}

/// <summary>The end of a training.</summary>
/// <param name="Steps">Batches that were gone through.</param>
/// <param name="Loss">Mean loss of the last step, nats.</param>
public readonly record struct FinishedTraining(long Steps, double Loss);

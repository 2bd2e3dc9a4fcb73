using System.Text.Json.Nodes;
using TraceDistill.Data.Files;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Models.Safetensors;

/// <summary>
/// The weights of a model directory: <c>model.safetensors</c>, or several files and
/// <c>model.safetensors.index.json</c>, which says what is where.
/// </summary>
/// <remarks>Files may be symbolic links, as in the snapshots of Hugging Face's cache.</remarks>
public sealed class WeightFiles : IDisposable
{
    public const string Single = "model.safetensors";
    public const string Index = "model.safetensors.index.json";

    readonly Dictionary<string, SafetensorsFile> _fileOf = [];
    readonly List<SafetensorsFile> _files = [];

    WeightFiles(string path) => Path = path;

    /// <summary>The one file, or the index.</summary>
    public string Path { get; }

    /// <summary>Names of all tensors.</summary>
    public IReadOnlyCollection<string> Names => _fileOf.Keys;

    public static bool Exist(string directory) =>
        File.Exists(System.IO.Path.Combine(directory, Single)) || File.Exists(System.IO.Path.Combine(directory, Index));

    /// <summary>Returns whether a file of this name is the index or one of several that <see cref="Write"/> makes.</summary>
    public static bool IsOne(string name) =>
        name == Index || (name.StartsWith("model-", StringComparison.Ordinal) && name.EndsWith(".safetensors", StringComparison.Ordinal));

    /// <exception cref="InvalidInputException">A file is absent or damaged, or the index does not go with the files.</exception>
    public static WeightFiles Open(string directory)
    {
        var (single, index) = (System.IO.Path.Combine(directory, Single), System.IO.Path.Combine(directory, Index));
        var isSharded = File.Exists(index) && !File.Exists(single);
        var weights = new WeightFiles(isSharded ? index : single);
        try
        {
            foreach (
                var shard in isSharded ? ReadIndex(index).GroupBy(entry => entry.File, entry => entry.Tensor, StringComparer.Ordinal) : []
            )
            {
                weights.Add(System.IO.Path.Combine(directory, shard.Key), shard.ToHashSet());
            }

            if (!isSharded)
            {
                weights.Add(single, expected: null);
            }

            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <returns>The tensor's entry, or null where there is none of that name.</returns>
    public SafetensorsEntry? Find(string name) => _fileOf.TryGetValue(name, out var file) ? file.Entries[name] : null;

    /// <summary>Reads a tensor, as <see cref="SafetensorsFile.Read(SafetensorsEntry, Span{float})"/> does.</summary>
    public void Read(string name, Span<float> destination) => _fileOf[name].Read(_fileOf[name].Entries[name], destination);

    /// <summary>Copies values as they are stored, as <see cref="SafetensorsFile.Read(SafetensorsEntry, long, Span{byte})"/> does.</summary>
    public void Read(string name, long first, Span<byte> values) => _fileOf[name].Read(_fileOf[name].Entries[name], first, values);

    /// <summary>Returns whether two tensors have one shape and the same values, whatever they are stored as.</summary>
    public bool AreEqual(string name, string other)
    {
        var (one, two) = (Find(name)!, Find(other)!);
        if (!one.Shape.SequenceEqual(two.Shape))
        {
            return false;
        }

        const int Piece = 1 << 18;
        var count = one.Shape.ElementCount();
        var (values, others, bytes) = (new float[Piece], new float[Piece], new byte[sizeof(float) * Piece]);
        for (var first = 0L; first < count; first += Piece)
        {
            var length = (int)Math.Min(Piece, count - first);
            if (!Decoded(one, values).SequenceEqual(Decoded(two, others)))
            {
                return false;
            }

            Span<float> Decoded(SafetensorsEntry tensor, float[] room)
            {
                var stored = bytes.AsSpan(0, length * tensor.Dtype.Size());
                Read(tensor.Name, first, stored);
                tensor.Dtype.Decode(stored, room.AsSpan(0, length));
                return room.AsSpan(0, length);
            }
        }

        return true;
    }

    public void Dispose() => _files.ForEach(file => file.Dispose());

    /// <param name="path">The file.</param>
    /// <param name="expected">The tensors that the index puts into it; null where there is no index.</param>
    void Add(string path, HashSet<string>? expected)
    {
        if (expected is not null && !File.Exists(path))
        {
            throw new InvalidInputException($"{path}: no such file, and {Index} names it; download the checkpoint again");
        }

        var file = SafetensorsFile.Open(path);
        _files.Add(file);
        if (expected?.FirstOrDefault(name => !file.Entries.ContainsKey(name)) is { } missing)
        {
            throw new InvalidInputException(
                $"{path}: has no tensor {missing}, which {Index} puts there; the files are of different checkpoints, or one is damaged"
            );
        }

        foreach (var name in file.Entries.Keys)
        {
            if (!_fileOf.TryAdd(name, file))
            {
                throw new InvalidInputException($"{path}: tensor {name} is in {_fileOf[name].Path} too");
            }
        }
    }

    static List<(string Tensor, string File)> ReadIndex(string path) =>
        [.. JsonField.Read(path)["weight_map"].Entries().Select(entry => (entry.Name, Plain(path, entry.Value.Text())))];

    /// <summary>An index names files beside it, and no others.</summary>
    static string Plain(string path, string file) =>
        file.Length > 0 && file == System.IO.Path.GetFileName(file) && file is not ("." or "..")
            ? file
            : throw new InvalidInputException($"{path}: \"{file}\" is not the name of a file beside it");

    /// <summary>
    /// Writes one file, or several with an index where one would be larger than
    /// <paramref name="shardBytes"/>; what was there before under the other form goes.
    /// </summary>
    /// <param name="directory">An existing folder.</param>
    /// <param name="dtypeOf">How a tensor is stored, by name.</param>
    /// <param name="tensors">Names and shapes in the order they are stored, those of fewer bytes a value last.</param>
    /// <param name="values">Gives the float32 values of a tensor by name.</param>
    /// <param name="shardBytes">Most bytes of one file; a larger tensor has one to itself.</param>
    public static void Write(
        string directory,
        Func<string, TensorDtype> dtypeOf,
        IReadOnlyList<(string Name, long[] Shape)> tensors,
        SafetensorsWriter.ValuesOf values,
        long shardBytes
    )
    {
        var (single, index) = (System.IO.Path.Combine(directory, Single), System.IO.Path.Combine(directory, Index));
        // The wider ones first, so that every value lies at a multiple of its size.
        var shards = Divide(dtypeOf, [.. tensors.OrderByDescending(tensor => dtypeOf(tensor.Name).Size())], shardBytes);
        if (shards.Count == 1)
        {
            SafetensorsWriter.Write(single, dtypeOf, shards[0], values);
            File.Delete(index);
            return;
        }

        var map = new JsonObject();
        foreach (var (number, shard) in shards.Index())
        {
            var file = $"model-{number + 1:00000}-of-{shards.Count:00000}.safetensors";
            SafetensorsWriter.Write(System.IO.Path.Combine(directory, file), dtypeOf, shard, values);
            foreach (var (name, _) in shard)
            {
                map[name] = file;
            }
        }

        var metadata = new JsonObject { ["total_size"] = tensors.Sum(tensor => BytesOf(dtypeOf(tensor.Name), tensor.Shape)) };
        JsonFile.Write(index, new JsonObject { ["metadata"] = metadata, ["weight_map"] = map });
        File.Delete(single);
    }

    static List<List<(string Name, long[] Shape)>> Divide(
        Func<string, TensorDtype> dtypeOf,
        IReadOnlyList<(string Name, long[] Shape)> tensors,
        long shardBytes
    )
    {
        var shards = new List<List<(string, long[])>> { new() };
        var bytes = 0L;
        foreach (var tensor in tensors)
        {
            var more = BytesOf(dtypeOf(tensor.Name), tensor.Shape);
            if (bytes > 0 && bytes + more > shardBytes)
            {
                shards.Add([]);
                bytes = 0;
            }

            shards[^1].Add(tensor);
            bytes += more;
        }

        return shards;
    }

    static long BytesOf(TensorDtype dtype, long[] shape) => shape.ElementCount() * dtype.Size();
}

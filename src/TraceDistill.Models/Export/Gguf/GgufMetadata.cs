using System.Text;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>The key–value pairs at the head of a GGUF file, in the order added.</summary>
/// <remarks>Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.</remarks>
sealed class GgufMetadata
{
    const uint UInt32 = 4;
    const uint Int32 = 5;
    const uint Float32 = 6;
    const uint Bool = 7;
    const uint String = 8;
    const uint Array = 9;

    readonly List<Action<BinaryWriter>> _pairs = [];

    public void Add(string key, string value) => AddPair(key, String, writer => WriteText(writer, value));

    public void Add(string key, bool value) => AddPair(key, Bool, writer => writer.Write(value));

    /// <summary>A number that is not negative, as the format's sizes and ids are.</summary>
    public void Add(string key, int value) => AddPair(key, UInt32, writer => writer.Write((uint)value));

    public void Add(string key, double value) => AddPair(key, Float32, writer => writer.Write((float)value));

    public void Add(string key, IReadOnlyList<string> values) => AddArray(key, String, values, WriteText);

    public void Add(string key, IReadOnlyList<int> values) => AddArray(key, Int32, values, (writer, value) => writer.Write(value));

    public void Add(string key, IReadOnlyList<float> values) => AddArray(key, Float32, values, (writer, value) => writer.Write(value));

    public void Write(BinaryWriter writer) => _pairs.ForEach(pair => pair(writer));

    public int Count => _pairs.Count;

    /// <summary>Texts have their length in bytes before them.</summary>
    public static void WriteText(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    void AddArray<T>(string key, uint type, IReadOnlyList<T> values, Action<BinaryWriter, T> write) => AddPair(key, Array, writer =>
        {
            writer.Write(type);
            writer.Write((ulong)values.Count);
            foreach (var value in values)
            {
                write(writer, value);
            }
        });

    void AddPair(string key, uint type, Action<BinaryWriter> write) =>
        _pairs.Add(writer =>
        {
            WriteText(writer, key);
            writer.Write(type);
            write(writer);
        });
}

using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Quantization;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>One tensor of a GGUF file.</summary>
/// <param name="Name">As llama.cpp calls it.</param>
/// <param name="Source">As Hugging Face calls the weight it is made of; empty for one that is not of the checkpoint.</param>
/// <param name="Shape">
/// Rows first, as in Hugging Face, behind the number of experts where there are several; GGUF writes it the other way round.
/// </param>
/// <param name="Heads">Heads whose channels are put in llama.cpp's order; 0: as they are.</param>
/// <param name="Type">How it is stored.</param>
sealed record GgufTensor(string Name, string Source, long[] Shape, int Heads, GgmlType Type)
{
    /// <summary>The weights of all experts, that of the first included; empty for any other tensor.</summary>
    public IReadOnlyList<string> Experts { get; init; } = [];

    /// <summary>Added to each value.</summary>
    public float Shift { get; init; }

    /// <summary>Factor of each value, after that.</summary>
    /// <value>1.</value>
    public float Factor { get; init; } = 1;

    public long Elements => Shape.ElementCount();

    public long Bytes => Type.BytesOf(Elements);
}

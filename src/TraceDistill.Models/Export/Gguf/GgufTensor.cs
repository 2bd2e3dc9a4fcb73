using TraceDistill.Models.Configuration;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Export.Quantization;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>One tensor of a GGUF file.</summary>
/// <param name="Name">As llama.cpp calls it.</param>
/// <param name="Source">As Hugging Face calls the weight it is made of; empty for one that is not of the checkpoint.</param>
/// <param name="Shape">Rows first, as in Hugging Face; GGUF writes it the other way round.</param>
/// <param name="Heads">Heads whose channels are put in llama.cpp's order; 0: as they are.</param>
/// <param name="Type">How it is stored.</param>
sealed record GgufTensor(string Name, string Source, long[] Shape, int Heads, GgmlType Type)
{
    public long Elements => Shape.ElementCount();

    public long Bytes => Type.BytesOf(Elements);
}

using TraceDistill.Models;
using static TorchSharp.torch;

namespace TraceDistill.Training.Head;

// M = trained tokens, C = tokens of a chunk, D = the teacher's hidden size, V = its vocabulary

/// <summary>A teacher's hidden states of a batch, of which logits are made a chunk at a time.</summary>
/// <param name="Decoder">The teacher's.</param>
/// <param name="Hidden">[M, D].</param>
public sealed record TeacherStates(Decoder Decoder, Tensor Hidden)
{
    /// <returns>[C, V] in float32, on the teacher's device.</returns>
    /// <param name="first">First token of the chunk.</param>
    /// <param name="rows">C.</param>
    public Tensor Logits(int first, int rows) => Decoder.Logits(Hidden.narrow(0, first, rows));
}

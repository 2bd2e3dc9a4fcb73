using System.Diagnostics.CodeAnalysis;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>Storage types of the weights of a GGUF file, by the names of llama.cpp.</summary>
[SuppressMessage("Naming", "CA1707", Justification = "llama.cpp's own names")]
public enum GgufQuantization
{
    F32,
    F16,
    BF16,

    /// <summary>8.5 bits a weight.</summary>
    Q8_0,

    /// <summary>6.6 bits a weight.</summary>
    Q6_K,

    /// <summary>4.5 bits a weight, and 6.6 for those that matter most.</summary>
    Q4_K_M,

    /// <summary>4.5 bits a weight; 6.6 for the output projection.</summary>
    Q4_0,
}

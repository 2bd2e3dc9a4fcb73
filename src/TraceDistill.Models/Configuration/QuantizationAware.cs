using System.Diagnostics.CodeAnalysis;

namespace TraceDistill.Models.Configuration;

/// <summary>Quantised GGUF types that a model can be trained for, by the names of llama.cpp.</summary>
[SuppressMessage("Naming", "CA1707", Justification = "llama.cpp's own names")]
public enum QuantizationAware
{
    None,

    /// <summary>8 bits a weight, and a scale for each 32.</summary>
    Q8_0,

    /// <summary>4 bits a weight, and a scale for each 32.</summary>
    Q4_0,
}

using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;

namespace TraceDistill.Training;

/// <summary>Weights as a part of what decides a run, whatever file they came from.</summary>
static class WeightsDigest
{
    /// <summary>Appends the values of all weights of a model, in float32.</summary>
    public static void Append(IncrementalHash hash, IDecoderWeights model)
    {
        var piece = new float[1 << 16];
        foreach (var name in model.Names)
        {
            var count = model.ShapeOf(name).ElementCount();
            for (long first = 0; first < count; first += piece.Length)
            {
                var values = piece.AsSpan(0, (int)Math.Min(piece.Length, count - first));
                model.Read(name, first, values);
                hash.AppendData(MemoryMarshal.AsBytes(values));
            }
        }
    }
}

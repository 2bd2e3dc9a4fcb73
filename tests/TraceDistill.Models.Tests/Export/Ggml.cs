using System.Diagnostics;
using System.Runtime.InteropServices;
using LLama.Native;
using TraceDistill.Models.Export.Quantization;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

/// <summary>ggml's own quantisers and llama.cpp's, in the libraries that LLamaSharp brings.</summary>
static unsafe class Ggml
{
    static readonly Lazy<nint> Base = new(Load);

    /// <summary>Values as ggml encodes them.</summary>
    public static byte[] Encode(GgmlType type, float[] values)
    {
        var encode = (delegate* unmanaged<int, float*, void*, long, long, long, float*, nuint>)
            NativeLibrary.GetExport(Base.Value, "ggml_quantize_chunk");
        var bytes = new byte[type.BytesOf(values.Length)];
        fixed (float* source = values)
        fixed (byte* destination = bytes)
        {
            Assert.Equal(bytes.Length, (int)encode((int)type, source, destination, 0, 1, values.Length, null));
        }

        return bytes;
    }

    /// <summary>Values as ggml reads them.</summary>
    public static float[] Decode(GgmlType type, byte[] bytes)
    {
        var name = type.ToString().EndsWith('K')
            ? type.ToString().Replace("Q", "q", StringComparison.Ordinal)
            : type.ToString().ToLowerInvariant();
        var decode = (delegate* unmanaged<void*, float*, long, void>)NativeLibrary.GetExport(Base.Value, $"dequantize_row_{name}");
        var values = new float[bytes.Length / type.BlockBytes() * type.BlockSize()];
        fixed (byte* source = bytes)
        fixed (float* destination = values)
        {
            decode(source, destination, values.Length);
        }

        return values;
    }

    /// <summary>Has llama.cpp quantise a GGUF file.</summary>
    /// <param name="fileType">Its number of a mixture.</param>
    public static void Quantize(string from, string to, int fileType)
    {
        LlamaCpp.Require();
        var parameters = LLamaModelQuantizeParams.Default();
        parameters.ftype = (LLamaFtype)fileType;
        Assert.Equal(0u, NativeApi.llama_model_quantize(from, to, ref parameters));
    }

    static nint Load()
    {
        LlamaCpp.Require();
        using var process = Process.GetCurrentProcess();
        var llama = process
            .Modules.Cast<ProcessModule>()
            .Single(module => Path.GetFileNameWithoutExtension(module.FileName) is "libllama" or "llama");
        return NativeLibrary.Load(
            Path.Combine(
                Path.GetDirectoryName(llama.FileName)!,
                Path.GetFileName(llama.FileName).Replace("llama", "ggml-base", StringComparison.Ordinal)
            )
        );
    }
}

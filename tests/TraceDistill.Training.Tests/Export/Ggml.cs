using System.Runtime.InteropServices;
using System.Text;
using TraceDistill.Tests.Support;
using TraceDistill.Models.Export.Quantization;
using Xunit;

namespace TraceDistill.Training.Tests.Export;

/// <summary>ggml's own quantisers and llama.cpp's, in the libraries that npm's node-llama-cpp brings for Linux.</summary>
static unsafe class Ggml
{
    static readonly Lazy<(nint Base, nint Llama)> Libraries = new(Load);

    /// <summary>Values as ggml encodes them.</summary>
    public static byte[] Encode(GgmlType type, float[] values)
    {
        var encode = (delegate* unmanaged<int, float*, void*, long, long, long, float*, nuint>)NativeLibrary.GetExport(Libraries.Value.Base, "ggml_quantize_chunk");
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
        var name = type.ToString().EndsWith('K') ? type.ToString().Replace("Q", "q", StringComparison.Ordinal) : type.ToString().ToLowerInvariant();
        var decode = (delegate* unmanaged<void*, float*, long, void>)NativeLibrary.GetExport(Libraries.Value.Base, $"dequantize_row_{name}");
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
        var defaults = (delegate* unmanaged<Parameters>)NativeLibrary.GetExport(Libraries.Value.Llama, "llama_model_quantize_default_params");
        var quantize = (delegate* unmanaged<byte*, byte*, Parameters*, uint>)NativeLibrary.GetExport(Libraries.Value.Llama, "llama_model_quantize");
        var parameters = defaults();
        parameters.Values[1] = fileType;
        fixed (byte* source = Encoding.UTF8.GetBytes(from + '\0'))
        fixed (byte* destination = Encoding.UTF8.GetBytes(to + '\0'))
        {
            Assert.Equal(0u, quantize(source, destination, &parameters));
        }
    }

    static (nint Base, nint Llama) Load()
    {
        var package = Path.Combine(TestPaths.RepositoryRoot, "tests", "peers", "node_modules", "@node-llama-cpp", "linux-x64", "bins", "linux-x64");
        Assert.SkipUnless(OperatingSystem.IsLinux() && Directory.Exists(package), "llama.cpp is not installed: run 'npm ci --omit=optional' in tests/peers");
        var ggml = NativeLibrary.Load(Path.Combine(package, "libggml-base.so"));
        var llama = NativeLibrary.Load(Directory.GetFiles(package, "libllama.v*.so").Single());
        ((delegate* unmanaged<delegate* unmanaged<int, byte*, void*, void>, void*, void>)NativeLibrary.GetExport(llama, "llama_log_set"))(&Ignore, null);
        return (ggml, llama);
    }

    /// <summary>llama.cpp tells all it does.</summary>
    [UnmanagedCallersOnly]
    static void Ignore(int level, byte* text, void* data)
    {
    }

    /// <summary>llama_model_quantize_params: threads, file type, then what is left as it is. Larger than the real one, which may grow.</summary>
    struct Parameters
    {
        public fixed int Values[64];
    }
}

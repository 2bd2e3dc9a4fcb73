using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace TraceDistill.Models.Native;

/// <summary>Loads libtorch and TorchSharp's native shim before the first tensor is made.</summary>
/// <remarks>
/// TorchSharp 0.107's shim asks for GLIBCXX_3.4.32 (GCC 13), which Debian 12 and Ubuntu 22.04 do not have, although the only symbol
/// behind that version is never referred to. Where the original does not load, a copy of it with that one need marked weak is
/// written to the user's cache (once, atomically, beside links to the libtorch files) and loaded in its place. The file in the
/// output folder is a hard link into the package cache and is never touched.
/// </remarks>
public static class TorchLibrary
{
    const string Shim = "libLibTorchSharp.so";
    const string NewestNeed = "GLIBCXX_3.4.32";
    static readonly Lazy<string> Loaded = new(Load);

    /// <summary>The way the native library was loaded, in words, for <c>doctor</c>.</summary>
    /// <exception cref="DllNotFoundException">The native library is absent or cannot be loaded; the message says why.</exception>
    public static string Status => Loaded.Value;

    /// <summary>The program's folder in the user's cache, where a patched copy is kept.</summary>
    public static string CacheFolder { get; } =
        Path.Combine(
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache
                ? cache
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"),
            "tracedistill"
        );

#pragma warning disable CA2255 // Any first use of this assembly may be a first use of torch; no caller could be relied on to remember.
    [ModuleInitializer]
    internal static void Initialize() => _ = Loaded.Value;
#pragma warning restore CA2255

    static string Load()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "loaded by TorchSharp";
        }

        var folder = AppContext.BaseDirectory;
        var shim = Path.Combine(folder, Shim);
        if (!File.Exists(shim))
        {
            return "left to TorchSharp: no shim in the program's folder";
        }

        NativeLibrary.TryLoad(Path.Combine(folder, "libtorch_cpu.so"), out _);
        if (NativeLibrary.TryLoad(shim, out var original))
        {
            Resolve(original);
            return $"{shim} as it is";
        }

        var copy = PatchedCopy(folder, shim);
        Resolve(NativeLibrary.Load(copy));
        return $"{copy}: a copy that does not insist on {NewestNeed}, because this system's libstdc++ is older than GCC 13's";
    }

    static void Resolve(nint handle) =>
        NativeLibrary.SetDllImportResolver(typeof(TorchSharp.torch).Assembly, (name, _, _) => name == "LibTorchSharp" ? handle : 0);

    static string PatchedCopy(string folder, string shim)
    {
        var image = File.ReadAllBytes(shim);
        var cache = Path.Combine(CacheFolder, Convert.ToHexStringLower(SHA256.HashData(image))[..16]);
        var copy = Path.Combine(cache, Shim);
        Directory.CreateDirectory(cache);
        foreach (var library in Directory.EnumerateFiles(folder, "lib*.so*").Where(path => Path.GetFileName(path) != Shim))
        {
            Publish(Path.Combine(cache, Path.GetFileName(library)), temporary => File.CreateSymbolicLink(temporary, library));
        }

        if (!File.Exists(copy))
        {
            if (ElfVersionNeeds.MarkWeak(image, NewestNeed) == 0)
            {
                NativeLibrary.Load(shim); // Some other cause: let the loader's own message reach the user.
            }

            Publish(copy, temporary => File.WriteAllBytes(temporary, image));
        }

        return copy;
    }

    /// <summary>
    /// Several processes may start at once: each writes its own temporary name, and the last rename wins with equal content.
    /// </summary>
    static void Publish(string path, Action<string> write)
    {
        var temporary = $"{path}.{Environment.ProcessId}.tmp";
        File.Delete(temporary);
        write(temporary);
        File.Move(temporary, path, overwrite: true);
    }
}

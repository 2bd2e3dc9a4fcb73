using System.IO.MemoryMappedFiles;

namespace TraceDistill.Models.Safetensors;

/// <summary>A stretch of a file, mapped into memory while this lives.</summary>
readonly unsafe ref struct FileWindow
{
    readonly MemoryMappedViewAccessor _view;

    public FileWindow(MemoryMappedFile file, long start, int length)
    {
        _view = file.CreateViewAccessor(start, length, MemoryMappedFileAccess.Read);
        byte* pointer = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        Bytes = new ReadOnlySpan<byte>(pointer + _view.PointerOffset, length);
    }

    public ReadOnlySpan<byte> Bytes { get; }

    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
    }
}

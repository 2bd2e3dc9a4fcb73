using System.Runtime.CompilerServices;
using TraceDistill.Models.Weights;

namespace TraceDistill.Tests.Support;

/// <summary>Some tests call libtorch before anything of the program, whose start finds the library on older systems.</summary>
static class TorchSetup
{
    [ModuleInitializer]
    internal static void FindLibrary() => RuntimeHelpers.RunModuleConstructor(typeof(ModelParameters).Module.ModuleHandle);
}

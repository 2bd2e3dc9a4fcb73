using System.Runtime.InteropServices;
using TraceDistill.Models.Tensors;

namespace TraceDistill.Training.Objectives;

/// <summary>Numbers that objectives adapt from step to step; part of a training's checkpoints.</summary>
/// <param name="names">All there are, each once.</param>
public sealed class AdaptiveState(IReadOnlyList<string> names)
{
    readonly double[] _values = [.. names.Select(_ => double.NaN)];

    /// <summary>A number; what <paramref name="otherwise"/> says before it was set.</summary>
    public double Get(string name, double otherwise) => _values[Index(name)] is var value && double.IsNaN(value) ? otherwise : value;

    /// <summary>Sets a number.</summary>
    public void Set(string name, double value) => _values[Index(name)] = value;

    internal void Visit(BytesVisitor visit) => visit(MemoryMarshal.AsBytes(_values.AsSpan()));

    int Index(string name) => names.TakeWhile(known => known != name).Count();
}

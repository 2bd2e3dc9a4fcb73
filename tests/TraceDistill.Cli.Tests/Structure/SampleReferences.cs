using System.ComponentModel;

namespace TraceDistill.Cli.Tests.Structure;

// Ways in which a type can name another, here always Low.
sealed class Low
{
    public static void Call() { }
}

sealed class Middle;

sealed class High;

sealed class InField
{
    public Low? Held { get; init; }
}

sealed class InGenericArgument
{
    public Dictionary<string, Low[]> Held { get; } = [];
}

static class InMethodBody
{
    public static object Make() => new Low();
}

static class InLambda
{
    public static Func<object> Make() => () => new Low();
}

static class InIterator
{
    public static IEnumerable<object> Make()
    {
        yield return new Low();
    }
}

[TypeConverter(typeof(Low))]
sealed class InAttribute;

static class InStaticCall
{
    public static void Make() => Low.Call();
}

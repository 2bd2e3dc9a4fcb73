using System.Runtime.CompilerServices;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>The state of one rendering: variables, output, the place in the template and what is left of the work allowed.</summary>
sealed class JinjaContext(TimeProvider time, IReadOnlyDictionary<string, object?> globals)
{
    /// <summary>
    /// The work one rendering may do: 32 for each node evaluated, 16 for each item and 1 for each character produced. About a second and
    /// 200 MB; far more than any real conversation takes.
    /// </summary>
    const long MaxWork = 1 << 26;

    const int WorkPerNode = 32;

    const int WorkPerItem = 16;

    /// <summary>
    /// Ranges that generation blocks wrote of captured strings, by the very string: any other that is made from it has lost the places.
    /// </summary>
    readonly Dictionary<object, IReadOnlyList<Range>> _generated = new(ReferenceEqualityComparer.Instance);
    Dictionary<string, object?>[] _scopes = [new(StringComparer.Ordinal)];
    long _work;

    public TimeProvider Time => time;

    /// <summary>Where the node that is being evaluated starts.</summary>
    public int Offset { get; private set; }

    /// <summary>Where text goes: the rendering, or what a block or macro captures.</summary>
    public JinjaOutput Output { get; private set; } = new();

    /// <summary>Notes that a node is evaluated.</summary>
    public void Visit(int offset)
    {
        Offset = offset;
        Charge(WorkPerNode);
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw new JinjaFailure("the template is nested too deeply");
        }
    }

    /// <summary>Pays for work; every string or list that an operation makes is paid for, so memory is bounded too.</summary>
    public void Charge(long work)
    {
        _work += Math.Min(work, MaxWork + 1);
        if (_work > MaxWork)
        {
            throw new JinjaFailure("the template does more work than a chat template may");
        }
    }

    /// <summary>Pays for going through a string, which takes far less than making one.</summary>
    public T ChargeScan<T>(T value)
    {
        Charge(value is string text ? text.Length / 4 : 0);
        return value;
    }

    /// <summary>Pays for a path of names that is cut at its points.</summary>
    public object? ChargePath(object? path)
    {
        Charge(path is string names ? names.Length : 0);
        return path;
    }

    /// <summary>Pays for the items of a new list.</summary>
    public void ChargeItems(long count) => Charge(WorkPerItem * count);

    /// <summary>Pays for a comparison of two values, and those of their parts one by one, before each is made.</summary>
    public void ChargeComparison(object? left, object? right)
    {
        EnsureStack();
        Charge(WorkPerItem + (left is string a && right is string b ? Math.Min(a.Length, b.Length) / 4 : 0));
    }

    /// <summary>Pays for looking for a text in another: in the worst case every part of it is gone through at every place.</summary>
    public void ChargeSearch(string text, string part) => Charge((text.Length / 4) + ((long)text.Length * part.Length / 64));

    /// <summary>Pays for putting keys in order.</summary>
    public void ChargeSorting(IReadOnlyList<object?> keys)
    {
        var rounds = Math.Log2(keys.Count + 2);
        Charge((long)(rounds * ((WorkPerItem * (double)keys.Count) + keys.Sum(key => key is string text ? text.Length : 0))));
    }

    /// <summary>Items to go through in a value; a list of characters or keys is paid for before it is made.</summary>
    public IReadOnlyList<object?> Items(object? value)
    {
        ChargeItems(
            value is string text ? text.Length
            : value is JinjaMap map ? map.Count
            : 0
        );
        return JinjaValues.Items(value);
    }

    /// <summary>A value as text; what is not text yet is paid for before it is written out.</summary>
    public string Text(object? value)
    {
        if (value is List<object?> or JinjaMap)
        {
            ChargeWhole(value);
        }
        return JinjaValues.ToText(value);
    }

    /// <summary>
    /// Pays for a value by its size when written out. Charged wherever values are put into new lists and mappings, so that shared parts
    /// cannot multiply unpaid.
    /// </summary>
    public T ChargeWhole<T>(T value)
    {
        EnsureStack();
        Charge(WorkPerItem + (value is string text ? text.Length : 0));
        if (value is List<object?> list)
        {
            list.ForEach(item => ChargeWhole(item));
        }
        else if (value is JinjaMap map)
        {
            map.Values.ToList().ForEach(item => ChargeWhole(item));
        }
        return value;
    }

    public void Write(string text)
    {
        Charge(text.Length);
        if (!_generated.TryGetValue(text, out var spans))
        {
            Output.Write(text);
            return;
        }

        ChargeItems(spans.Count);
        Output.Write(text, spans);
    }

    public object? Find(string name)
    {
        for (var i = _scopes.Length - 1; i >= 0; i--)
        {
            if (_scopes[i].TryGetValue(name, out var value))
            {
                return value;
            }
        }

        return globals.TryGetValue(name, out var global) ? global : new Undefined(name);
    }

    public void Set(string name, object? value) => _scopes[^1][name] = value;

    /// <summary>Runs with a scope of its own: what is set inside is forgotten after it.</summary>
    public T InScope<T>(Func<T> run) => InScopes([.. _scopes, new(StringComparer.Ordinal)], run);

    /// <summary>Runs as a macro does: with a scope of its own on top of the template's outermost.</summary>
    public T InMacro<T>(Func<T> run) => InScopes([_scopes[0], new(StringComparer.Ordinal)], run);

    /// <summary>Returns what <paramref name="run"/> writes, instead of writing it.</summary>
    public string Capture(Action run)
    {
        var outer = Output;
        var inner = Output = new JinjaOutput();
        run();
        Output = outer;
        var text = inner.ToString();
        if (inner.Generated.Count > 0)
        {
            _generated[text] = inner.Generated;
        }
        return text;
    }

    static void EnsureStack()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw new JinjaFailure("the value is nested too deeply");
        }
    }

    T InScopes<T>(Dictionary<string, object?>[] scopes, Func<T> run)
    {
        var outer = _scopes;
        _scopes = scopes;
        var result = run();
        _scopes = outer;
        return result;
    }
}

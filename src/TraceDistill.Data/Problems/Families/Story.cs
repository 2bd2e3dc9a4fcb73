using TraceDistill.Data.Labels;

namespace TraceDistill.Data.Problems.Families;

/// <summary>A word problem in the making: someone has things, and things come and go. Text and solution grow side by side.</summary>
/// <remarks>
/// Things come and go as plain numbers (one column operation) or in groups such as 4 boxes of 6 (one single-digit product, then a column
/// operation). The total stays between 1 and 199.
/// </remarks>
sealed class Story
{
    readonly SolutionWriter _write;
    readonly SolutionWriter _text;
    readonly string _name;
    readonly string _pronoun;
    readonly string _things;
    readonly List<string> _key = [];

    /// <summary>Roles of the numbers of the text, in its order.</summary>
    readonly List<string> _roles = [];

    const string Start = "start",
        Gain = "gain",
        Loss = "loss",
        Size = "size";

    bool _lost;

    public Story(SolutionWriter write, SolutionWriter text)
    {
        (_write, _text) = (write, text);
        (_name, _pronoun) = text.Pick(("tom", "he"), ("anna", "she"), ("sam", "he"), ("mia", "she"));
        _things = text.Pick("apples", "pens", "books", "coins", "cards", "shells");
    }

    /// <summary>Number of things that there are now.</summary>
    public int Total { get; private set; }

    public void Has(int count)
    {
        _text.Say($"{_name} has {count} {_things}.");
        _write.Say(_write.Pick($"{_name} has {count}.", $"start with {count}.", $"we start with {count}."));
        _key.Add($"{count}");
        _roles.Add(Start);
        Total = count;
    }

    public void HasGroups(int groups, int size)
    {
        var kind = Kind();
        _text.Say($"{_name} has {groups} {kind} with {size} {_things} each.");
        _write.Say(
            _write.Pick($"first {groups} {kind} of {size}", $"{groups} {kind} with {size} each", $"start with {groups} {kind} of {size}")
                + $": {_write.Product(groups, size)}."
        );
        _key.Add($"{groups}*{size}");
        _roles.AddRange(Start, Size);
        Total = groups * size;
    }

    public void Gets(int count)
    {
        _text.Say($"{Subject()} {_text.Pick("buys", "finds", "gets")} {count} more.");
        Add(count);
        _key.Add($"+ {count}");
        _roles.Add(Gain);
    }

    public void GetsGroups(int groups, int size)
    {
        var kind = Kind();
        _text.Say($"{Subject()} {_text.Pick("buys", "finds", "gets")} {groups} {kind} with {size} {_things} each.");
        _write.Say($"{_write.Pick("now", "next", "then")} {groups} {kind} of {size}: {_write.Product(groups, size)}.");
        Add(groups * size);
        _key.Add($"+ {groups}*{size}");
        _roles.AddRange(Gain, Size);
    }

    public void Loses(int count)
    {
        _text.Say($"{Subject()} {_text.Pick("gives away", "sells", "loses")} {count}.");
        _write.Say(_write.Pick($"take {count} from {Total}.", $"now take away {count}.", $"{_pronoun} has {count} less."));
        Total = ColumnArithmetic.Subtract(_write, Total, count);
        _key.Add($"- {count}");
        _roles.Add(Loss);
        _lost = true;
    }

    public ProblemDraft Finish()
    {
        _text.Say(
            _text.Pick(
                $"how many {_things} does {_name} have now?",
                _lost ? $"how many {_things} are left?" : $"how many {_things} does {_name} have?",
                $"how many {_things} does {_pronoun} have in the end?"
            )
        );
        _write.Conclude($"{Total}");
        var text = _text.ToString();
        return new ProblemDraft(string.Join(' ', _key), text, _write.ToString(), $"{Total}") { Spans = [.. Spans(text)] };
    }

    IEnumerable<LabelledSpan> Spans(string text)
    {
        var start = 0;
        foreach (var role in _roles)
        {
            start = text.AsSpan(start).IndexOfAnyInRange('0', '9') + start;
            var length = text.AsSpan(start).IndexOfAnyExceptInRange('0', '9');
            yield return new LabelledSpan(start, start + length, role);
            start += length;
        }
    }

    void Add(int count)
    {
        _write.Say(_write.Pick($"add {count} to {Total}.", $"now add {count}.", $"{_pronoun} has {count} more."));
        Total = ColumnArithmetic.Add(_write, Total, count);
    }

    string Kind() => _text.Pick("boxes", "bags", "packs");

    string Subject() => _text.Pick(_pronoun, $"then {_pronoun}");
}

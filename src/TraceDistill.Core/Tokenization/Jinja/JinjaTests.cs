namespace TraceDistill.Core.Tokenization.Jinja;

/// <summary>What stands behind <c>is</c>.</summary>
delegate bool JinjaTest(object? value, Arguments arguments);

/// <summary>The tests, by name.</summary>
static class JinjaTests
{
    public static IReadOnlyDictionary<string, JinjaTest> All { get; } = new Dictionary<string, JinjaTest>(StringComparer.Ordinal)
    {
        ["defined"] = Simple(value => value is not Undefined),
        ["undefined"] = Simple(value => value is Undefined),
        ["none"] = Simple(value => value is null),
        ["boolean"] = Simple(value => value is bool),
        ["true"] = Simple(value => value is true),
        ["false"] = Simple(value => value is false),
        ["integer"] = Simple(value => value is long),
        ["float"] = Simple(value => value is double),
        ["number"] = Simple(JinjaValues.IsNumber),
        ["string"] = Simple(value => value is string),
        ["mapping"] = Simple(value => value is JinjaMap),
        ["sequence"] = Simple(value => value is string or List<object?> or JinjaMap),
        ["iterable"] = Simple(value => value is string or List<object?> or JinjaMap or LazySequence or Undefined),
        ["callable"] = Simple(value => value is JinjaFunction),
        ["even"] = Simple(value => JinjaValues.ToInteger(value) % 2 == 0),
        ["odd"] = Simple(value => JinjaValues.ToInteger(value) % 2 != 0),
        ["divisibleby"] = Against((value, other) => JinjaValues.IsTrue(other) && JinjaValues.ToInteger(value) % JinjaValues.ToInteger(other) == 0),
        ["in"] = Against((value, other) => JinjaValues.Contains(other, value)),
        ["equalto"] = Against(JinjaValues.Equals),
        ["eq"] = Against(JinjaValues.Equals),
        ["=="] = Against(JinjaValues.Equals),
        ["ne"] = Against((value, other) => !JinjaValues.Equals(value, other)),
        ["lt"] = Against((value, other) => JinjaValues.Compare(value, other) < 0),
        ["le"] = Against((value, other) => JinjaValues.Compare(value, other) <= 0),
        ["gt"] = Against((value, other) => JinjaValues.Compare(value, other) > 0),
        ["ge"] = Against((value, other) => JinjaValues.Compare(value, other) >= 0),
    };

    static JinjaTest Simple(Func<object?, bool> test) => (value, arguments) =>
    {
        arguments.Bind();
        return test(value);
    };

    static JinjaTest Against(Func<object?, object?, bool> test) => (value, arguments) => test(value, arguments.Single("other"));
}

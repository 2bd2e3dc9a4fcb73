namespace TraceDistill.Text.Templates.Jinja;

/// <summary>A test, which stands behind <c>is</c>.</summary>
delegate bool JinjaTest(JinjaContext context, object? value, Arguments arguments);

/// <summary>The tests, by name.</summary>
static class JinjaTests
{
    public static IReadOnlyDictionary<string, JinjaTest> All { get; } =
        new Dictionary<string, JinjaTest>(StringComparer.Ordinal)
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
            ["divisibleby"] = Against(
                (_, value, other) => JinjaValues.IsTrue(other) && JinjaValues.ToInteger(value) % JinjaValues.ToInteger(other) == 0
            ),
            ["in"] = Against((context, value, other) => JinjaValues.Contains(context, other, value)),
            ["equalto"] = Against(JinjaValues.Equals),
            ["eq"] = Against(JinjaValues.Equals),
            ["=="] = Against(JinjaValues.Equals),
            ["ne"] = Against((context, value, other) => !JinjaValues.Equals(context, value, other)),
            ["lt"] = Against((context, value, other) => JinjaValues.Compare(context, value, other) < 0),
            ["le"] = Against((context, value, other) => JinjaValues.Compare(context, value, other) <= 0),
            ["gt"] = Against((context, value, other) => JinjaValues.Compare(context, value, other) > 0),
            ["ge"] = Against((context, value, other) => JinjaValues.Compare(context, value, other) >= 0),
        };

    static JinjaTest Simple(Func<object?, bool> test) =>
        (_, value, arguments) =>
        {
            arguments.Bind();
            return test(value);
        };

    static JinjaTest Against(Func<JinjaContext, object?, object?, bool> test) =>
        (context, value, arguments) => test(context, value, arguments.Single("other"));
}

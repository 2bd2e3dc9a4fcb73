using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using Xunit;

namespace TraceDistill.Text.Tests.Templates;

/// <summary>
/// Templates that would run for hours, or need gigabytes: each step is paid for by the size of what it goes through, before it is taken.
/// </summary>
public class ChatTemplateBudgetTests
{
    const string Many = "{% for i in range(100000) %}";
    const string List = "{% set l = range(100000) %}";
    const string Text = "{% set t = 'a' * 2000000 %}";

    [Theory]
    [InlineData(List + Many + "{% if -1 in l %}{% endif %}{% endfor %}")]
    [InlineData(List + Many + "{% if -1 not in l %}{% endif %}{% endfor %}")]
    [InlineData(List + Many + "{% if -1 is in l %}{% endif %}{% endfor %}")]
    [InlineData(List + "{{ l | select('in', l) | list }}")]
    [InlineData(List + "{% set m = range(100000) %}" + Many + "{% if l == m %}{% endif %}{% endfor %}")]
    [InlineData(List + "{% set m = range(100000) %}" + Many + "{% if l != m %}{% endif %}{% endfor %}")]
    [InlineData(List + "{% set m = range(100000) %}" + Many + "{% if l is eq(m) %}{% endif %}{% endfor %}")]
    [InlineData(List + Many + "{% set s = l | string %}{% endfor %}")]
    [InlineData(List + Many + "{% set s = l | tojson %}{% endfor %}")]
    [InlineData(List + Many + "{% set s = l | join %}{% endfor %}")]
    [InlineData(List + Many + "{% set s = l ~ '' %}{% endfor %}")]
    [InlineData(List + Many + "{% set s = l | upper %}{% endfor %}")]
    [InlineData(List + Many + "{% set s = l | sort %}{% endfor %}")]
    [InlineData(Many + "{% set s = table | dictsort %}{% endfor %}")]
    [InlineData(Many + "{% set s = table.items() %}{% endfor %}")]
    [InlineData(Many + "{% set s = table.keys() %}{% endfor %}")]
    [InlineData(Many + "{% set s = table | tojson(sort_keys=true) %}{% endfor %}")]
    [InlineData(Text + Many + "{% set s = strftime_now(t) %}{% endfor %}")]
    [InlineData(Text + Many + "{% set s = t | upper %}{% endfor %}")]
    [InlineData(Text + Many + "{% set s = t.lower() %}{% endfor %}")]
    [InlineData(Text + Many + "{% set s = t.title() %}{% endfor %}")]
    [InlineData(Text + Many + "{% set s = t.strip('xyz') %}{% endfor %}")]
    [InlineData(Text + Many + "{% set s = t.find('b') %}{% endfor %}")]
    [InlineData(Text + "{% set f = t.startswith %}" + Many + "{% set s = f(t) %}{% endfor %}")]
    [InlineData(Text + "{% set f = t.endswith %}" + Many + "{% set s = f([t, t]) %}{% endfor %}")]
    [InlineData(Text + "{% set f = table.get %}" + Many + "{% set s = f(t) %}{% endfor %}")]
    [InlineData(Text + "{{ range(100000) | join('', attribute=t) }}")]
    [InlineData(Text + "{{ range(100000) | map(attribute=t) | list }}")]
    [InlineData(Text + "{{ range(100000) | selectattr(t) | list }}")]
    [InlineData(Text + "{% set p = 'a' * 1000000 ~ 'b' %}{{ p in t }}")]
    [InlineData(Text + "{% set p = 'a' * 1000000 ~ 'b' %}{{ t.replace(p, '') }}")]
    [InlineData(Text + "{% set p = 'a' * 1000000 ~ 'b' %}{{ t.split(p) }}")]
    [InlineData("{% set t = 'a' * 30000000 %}{{ t.split('a') }}")]
    [InlineData("{% set t = 'a' * 30000000 %}{{ t | first }}")]
    [InlineData("{% set t = 'a' * 30000000 %}{% for c in t %}{% endfor %}")]
    [InlineData("{% set t = 'a' * 30000000 %}{{ t[::-1] }}")]
    [InlineData("{% set t = 'a' * 30000000 %}{{ t.replace('a', 'bbbb') }}")]
    [InlineData("{% set t = 'a' * 30000000 %}{{ t | tojson }}")]
    [InlineData("{{ 'a' * 9223372036854775807 }}")]
    [InlineData("{{ 'ab' * 4611686018427387905 }}")]
    [InlineData(Text + "{% set l = [t, t, t, t, t, t, t, t, t, t] %}{{ l | join(t) }}{% set m = [l, l, l, l, l] %}")]
    public void Render_MoreWorkThanAConversationNeeds_IsRefused(string template)
    {
        var table = Enumerable.Range(0, 20_000).ToDictionary(number => $"key{number}", object? (number) => number);

        var error = Assert.Throws<InvalidInputException>(() =>
            ChatTemplate
                .Parse(template, "t.jinja")
                .Render([new ChatMessage("user", "u")], addGenerationPrompt: true, new Dictionary<string, object?> { ["table"] = table })
        );

        Assert.StartsWith("t.jinja", error.Message, StringComparison.Ordinal);
        Assert.Contains("more work than a chat template may", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_LongConversationWithUsualSteps_IsWithinBounds()
    {
        const string Template =
            "{% for m in messages %}{% if m.role in ['user', 'system'] and '</think>' in m.content %}{{ "
            + "m.content.split('</think>')[-1].strip() | upper }}{% elif m.role == 'assistant' %}{{ (m | "
            + "tojson).replace('x', 'yy') }}{% else %}{{ m.content | trim }}{% endif %}{% endfor %}";
        ChatMessage[] messages =
        [
            .. Enumerable
                .Range(0, 500)
                .Select(turn => new ChatMessage(turn % 2 == 0 ? "user" : "assistant", new string('x', 4_000) + "</think>y")),
        ];

        var text = ChatTemplate.Parse(Template, "t.jinja").Render(messages, addGenerationPrompt: false);

        Assert.Equal(250, text.Count(character => character == 'Y'));
    }

    [Fact]
    public void Render_RaisedMessageOfAnyLength_IsCut()
    {
        var error = Assert.Throws<InvalidInputException>(() =>
            ChatTemplate
                .Parse("{{ raise_exception('a' * 1000000) }}", "t.jinja")
                .Render([new ChatMessage("user", "u")], addGenerationPrompt: true)
        );

        Assert.InRange(error.Message.Length, 1_000, 2_000);
    }
}

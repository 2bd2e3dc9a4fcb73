using System.Text.Json;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using Xunit;

namespace TraceDistill.Text.Tests.Templates.Jinja;

/// <summary>
/// Small templates, a feature or two each, with what Python's Jinja2 3.1.6 rendered in the environment that transformers gives it
/// (<c>jinja-cases.json</c>); <c>null</c> where it raised an error.
/// </summary>
public class JinjaReferenceTests
{
    static readonly ChatMessage[] Messages = [new("user", "Hi\n"), new("assistant", "Hello 😀")];

    public static TheoryData<string, string?> Cases()
    {
        var file = Path.Combine(TestPaths.RepositoryRoot, "tests/TraceDistill.Text.Tests/Templates/Jinja/jinja-cases.json");
        using var cases = JsonDocument.Parse(File.ReadAllText(file));
        var data = new TheoryData<string, string?>();
        foreach (var item in cases.RootElement.EnumerateArray())
        {
            data.Add(item.GetProperty("source").GetString()!, item.GetProperty("rendered").GetString());
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Render_RecordedTemplate_GivesTheRecordedText(string source, string? rendered)
    {
        var time = new FixedTime(new DateTimeOffset(2025, 3, 7, 15, 4, 9, TimeSpan.Zero));
        string Render() =>
            ChatTemplate.Parse(source, "template", time).Render(Messages, false, new Dictionary<string, object?> { ["bos_token"] = "<s>" });
        if (rendered is not null)
        {
            Assert.Equal(rendered, Render());
        }
        else
        {
            Assert.Matches(@"^template, line \d+, column \d+: ", Assert.Throws<InvalidInputException>(Render).Message);
        }
    }
}

using System.Text;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using Xunit;

namespace TraceDistill.Text.Tests.Templates;

/// <summary>
/// Templates of published models with bytes taken out, doubled and put in: each renders, or is refused in one line with its place.
/// </summary>
public class ChatTemplateFuzzTests
{
    static readonly ChatMessage[] Conversation =
    [
        new("system", "s"),
        new("user", "u"),
        new("assistant", "<think>\nr\n</think>\n\na"),
        new("user", "v"),
    ];

    static readonly string[] Inserted =
    [
        "{%",
        "%}",
        "{{",
        "}}",
        "{#",
        "#}",
        "-",
        "'",
        "\"",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        ".",
        ",",
        ":",
        "~",
        "*",
        "9",
        "9223372036854775807",
        "\\x",
        " if ",
        " else ",
        " for ",
        " in ",
        " not ",
        " is ",
        "\0",
        "é",
        "\n",
    ];

    [Fact]
    public void ParseAndRender_DamagedTemplates_RenderOrAreRefusedWithTheirPlace()
    {
        const int seed = 2,
            count = 20_000;
        var random = new Random(seed);
        string[] sources =
        [
            .. Directory.GetFiles(TestPaths.SharedData("chat-templates"), "*.jinja").Order(StringComparer.Ordinal).Select(File.ReadAllText),
        ];
        var refused = 0;
        for (var i = 0; i < count; i++)
        {
            var source = Damaged(sources[random.Next(sources.Length)], random);
            try
            {
                ChatTemplate.Parse(source, "template").Render(Conversation, addGenerationPrompt: random.Next(2) == 0);
            }
            catch (InvalidInputException error)
            {
                refused++;
                Assert.Matches("^template, line [0-9]+, column [0-9]+: .", error.Message);
            }
            catch (Exception error)
            {
                Assert.Fail($"template {i} of seed {seed}: {error}\n{source}");
            }
        }

        Assert.InRange(refused, count / 4, count - 1);
    }

    static string Damaged(string source, Random random)
    {
        var text = new StringBuilder(source);
        for (var edits = random.Next(1, 4); edits > 0 && text.Length > 0; edits--)
        {
            var at = random.Next(text.Length);
            var length = Math.Min(random.Next(1, 12), text.Length - at);
            switch (random.Next(3))
            {
                case 0:
                    text.Remove(at, length);
                    break;
                case 1:
                    text.Insert(at, text.ToString(at, length));
                    break;
                default:
                    text.Insert(at, Inserted[random.Next(Inserted.Length)]);
                    break;
            }
        }

        return text.ToString();
    }
}

using System.Text.Json;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using Xunit;

namespace TraceDistill.Text.Tests.Templates;

public class ChatTemplateTests
{
    static readonly ChatMessage[] Conversation = [new("user", "2+2?"), new("assistant", "4"), new("user", "3+3?"), new("assistant", "6")];

    [Fact]
    public void Render_GenerationBlocks_AreTextLikeAnyOther()
    {
        var template = ChatTemplate.Parse(
            "{% for m in messages %}{% if m.role == 'assistant' %}<a>{% generation %}{{ m.content "
                + "}}</s>{% endgeneration %}{% else %}<u>{{ m.content }}{% endif %}{% endfor %}",
            "template"
        );
        Assert.Equal("<u>2+2?<a>4</s><u>3+3?<a>6</s>", template.Render(Conversation, addGenerationPrompt: false));
    }

    [Fact]
    public void Render_TemplateThatRefuses_TellsItsMessageAndPlace()
    {
        var template = ChatTemplate.Parse(
            "{% if true %}\n  {{ raise_exception('roles must alternate') }}\n{% endif %}",
            "model/chat_template"
        );
        var error = Assert.Throws<InvalidInputException>(() => template.Render(Conversation, addGenerationPrompt: true));
        Assert.Equal("model/chat_template, line 2, column 6: roles must alternate", error.Message);
    }

    [Theory]
    [InlineData("a\n{% if x %}", "line 2, column 4: 'if' is not closed with 'endif'")]
    [InlineData("{{ 'a", "line 1, column 4: the string is not closed")]
    [InlineData("{{ a | nope }}", "line 1, column 8: there is no filter 'nope'")]
    [InlineData("\n\n{% include 'x' %}", "line 3, column 4: the statement 'include' is not known here")]
    [InlineData("{% for x in y %}{% endif %}", "line 1, column 20: the statement 'endif' is not known here")]
    [InlineData("{{ dict(a=1, b=2, a=3) }}", "line 1, column 19: the argument 'a' is given twice")]
    [InlineData("{{ '\\UFFFFFFFF' }}", "line 1, column 5: \\U needs 8 hexadecimal digits of a character")]
    [InlineData("{{ 99999999999999999999 }}", "line 1, column 4: the number does not fit 64 bits")]
    public void Parse_MalformedTemplate_NamesLineAndColumn(string source, string message) =>
        Assert.Equal($"template, {message}", Assert.Throws<InvalidInputException>(() => ChatTemplate.Parse(source, "template")).Message);

    [Theory]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}")]
    [InlineData("{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for a in range(1000) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for a in range(1000) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}")]
    [InlineData("{% set ns = namespace(l=[1]) %}{% for a in range(1000) %}{% set ns.l = ns.l + ns.l %}{% endfor %}")]
    [InlineData("{{ 'x' * 9999999999999 }}")]
    [InlineData("{{ 'xxxxxxxx' * 9223372036854775807 }}")]
    [InlineData("{% set x = 'x' * 1000000 %}{{ (x | list | map('replace', 'x', x) | join) | length }}")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")]
    [InlineData("{% set l = [] %}{% set _ = l.append(l) %}{{ l }}{% for i in range(60) %}{% set _ = l.append(l) %}{% endfor %}{{ l }}")]
    [InlineData("{{ 'x' * 9223372036854775807 }}")]
    [InlineData("{% set x = 'x' * 1000000 %}{% for i in range(100000) %}{% set _ = x[-1] %}{% endfor %}")]
    [InlineData("{% set x = 'x' * 1000000 %}{% for i in range(100000) %}{% if 'y' in x %}{% endif %}{% endfor %}")]
    [InlineData("{{ {[1]: 2} }}")]
    [InlineData("{% set l = [] %}{% set m = {l: 1} %}{% set _ = l.append(m) %}{{ l | tojson }}")]
    [InlineData("{{ range(0, 9223372036854775807, 9223372036854775806) }}{{ 9223372036854775807 + 1 }}")]
    public void Render_RunawayTemplate_IsStopped(string source) =>
        Assert.StartsWith(
            "template, line 1, column ",
            Assert
                .Throws<InvalidInputException>(() =>
                    ChatTemplate.Parse(source, "template").Render(Conversation, addGenerationPrompt: false)
                )
                .Message
        );

    [Theory]
    [InlineData("(", ")")]
    [InlineData("[", "]")]
    [InlineData("not (", ")")]
    public void Parse_DeeplyNestedExpression_IsRefused(string open, string close)
    {
        const int Depth = 100_000;
        var source = "{{ " + string.Concat(Enumerable.Repeat(open, Depth)) + "1" + string.Concat(Enumerable.Repeat(close, Depth)) + " }}";
        Assert.EndsWith(
            "the template is nested too deeply",
            Assert.Throws<InvalidInputException>(() => ChatTemplate.Parse(source, "template")).Message
        );
    }

    [Theory]
    [InlineData("{{ ", "(")]
    [InlineData("{{ ", "[")]
    [InlineData("{{ ", "{1:")]
    [InlineData("{% for ", "(")]
    [InlineData("", "{% if x %}")]
    [InlineData("", "{% macro m() %}")]
    [InlineData("{{ x", " if x else x")]
    public void Parse_DeepNestingThatIsNeverClosed_IsRefusedWithItsPlace(string start, string open) =>
        Assert.Matches(
            "^template, line 1, column [0-9]+: ",
            Assert
                .Throws<InvalidInputException>(() =>
                    ChatTemplate.Parse(start + string.Concat(Enumerable.Repeat(open, 100_000)), "template")
                )
                .Message
        );

    /// <summary>Python: <c>'abcdef'[5::2**63-1]</c> and the like.</summary>
    [Fact]
    public void Render_SlicesWithHugeSteps_TakeOneItem() =>
        Assert.Equal(
            "f a",
            ChatTemplate
                .Parse("{{ 'abcdef'[5::9223372036854775807] }} {{ 'abcdef'[0::-9223372036854775807] }}", "template")
                .Render([], addGenerationPrompt: false)
        );

    /// <summary>Python: <c>'a😀b'[1]</c> and the like.</summary>
    [Fact]
    public void Render_ItemsOfAString_AreWholeCharacters() =>
        Assert.Equal(
            "😀b😀a ",
            ChatTemplate
                .Parse("{% set s = 'a😀b' %}{{ s[1] }}{{ s[-1] }}{{ s[-2] }}{{ s[-3] }}{{ s[3] }}{{ s[-4] }} ", "template")
                .Render([], addGenerationPrompt: false)
        );

    [Fact]
    public void Render_LongChainOfOperators_IsRefusedInsteadOfExhaustingTheStack()
    {
        var template = ChatTemplate.Parse("{{ 1" + string.Concat(Enumerable.Repeat(" + 1", 200_000)) + " }}", "template");
        Assert.EndsWith(
            "nested too deeply",
            Assert.Throws<InvalidInputException>(() => template.Render([], addGenerationPrompt: false)).Message
        );
    }

    [Fact]
    public void Render_SameTemplateTwice_ForgetsWhatItSet()
    {
        var template = ChatTemplate.Parse(
            "{{ x is defined }}{% set x = 1 %}{% set _ = messages.append(1) %}{{ messages | length }}",
            "template"
        );
        Assert.Equal("False5", template.Render(Conversation, addGenerationPrompt: false));
        Assert.Equal("False5", template.Render(Conversation, addGenerationPrompt: false));
    }

    [Fact]
    public void Render_JsonMessages_KeepsFieldsAndNumbersAsWritten()
    {
        using var messages = JsonDocument.Parse("""[{"role":"tool","content":null,"arguments":{"n":1,"x":1.0,"big":123456789012}}]""");
        var text = ChatTemplate
            .Parse("{{ messages[0].content is none }} {{ messages[0].arguments | tojson }}", "template")
            .Render(messages.RootElement, addGenerationPrompt: false);
        Assert.Equal("""True {"n": 1, "x": 1.0, "big": 123456789012}""", text);
    }

    [Fact]
    public void Load_ModelDirectory_SetsTheTokensAndPrefersTheTemplateFile()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(
            directory.File("tokenizer_config.json"),
            """
            {"bos_token":null,"eos_token":{"content":"</s>","special":true},"chat_template":[{"name":"tools","template":"t"},{"name":"default","template":"[{{ bos_token }}]{{ eos_token }}"}]}
            """
        );
        Assert.Equal("[]</s>", ChatTemplate.Load(directory.Path).Render(Conversation, addGenerationPrompt: false));
        File.WriteAllText(directory.File("chat_template.jinja"), "file{{ eos_token }}");
        Assert.Equal("file</s>", ChatTemplate.Load(directory.Path).Render(Conversation, addGenerationPrompt: false));
    }

    [Fact]
    public void Load_ModelWithoutTemplate_NamesTheFileAndField()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory.File("tokenizer_config.json"), "{}");
        var error = Assert.Throws<InvalidInputException>(() => ChatTemplate.Load(directory.Path));
        Assert.Contains("tokenizer_config.json: the model has no chat_template", error.Message);
    }

    [Fact]
    public void Hash_OfTheSameSource_IsTheSame()
    {
        Assert.Equal(ChatTemplate.Parse("a", "x").Hash, ChatTemplate.Parse("a", "y").Hash);
        Assert.NotEqual(ChatTemplate.Parse("a", "x").Hash, ChatTemplate.Parse("b", "x").Hash);
    }
}

using System.Text.Json;
using TraceDistill.Serving.Protocol;
using TraceDistill.Text.Templates;
using Xunit;

namespace TraceDistill.Serving.Tests;

public class ChatPromptTests
{
    const string Plain = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}";

    /// <summary>
    /// Where transformers' <c>continue_final_message</c> ends the text: behind the content, even if what ends the turn has it too.
    /// </summary>
    [Theory]
    [InlineData(Plain, "Let me", "<user>a<end><assistant>Let me")]
    [InlineData(Plain, "e", "<user>a<end><assistant>e")]
    [InlineData(Plain, "so ", "<user>a<end><assistant>so ")]
    [InlineData(Plain, "", "<user>a<end><assistant>")]
    [InlineData("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<end>{% endfor %}", "so ", "<user>a<end><assistant>so")]
    public void Render_FinalMessageToGoOnWith_EndsBehindItsContent(string template, string content, string expected) =>
        Assert.Equal(expected, Read(content).Render(ChatTemplate.Parse(template, "template")));

    [Fact]
    public void Render_TemplateThatLeavesTheMessageOut_SaysSo()
    {
        var error = Assert.Throws<ApiException>(() => Read("x").Render(ChatTemplate.Parse("{{ messages[0].content }}", "template")));

        Assert.Contains("continue_final_message", error.Message, StringComparison.Ordinal);
    }

    static ChatPrompt Read(string content)
    {
        object[] messages = [new { role = "user", content = "a" }, new { role = "assistant", content }];
        return ChatPrompt.Read(
            new RequestFields(
                JsonSerializer.SerializeToElement(
                    new
                    {
                        messages,
                        add_generation_prompt = false,
                        continue_final_message = true,
                    }
                )
            )
        );
    }
}

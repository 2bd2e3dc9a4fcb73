using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Text.Chat;
using Xunit;

namespace TraceDistill.Teachers.Tests.Dialects;

public sealed class ExtraBodyTests
{
    [Fact]
    public void Canonical_SameFieldsInAnyOrder_AreTheSameText()
    {
        Assert.Equal(
            """{"a":[{"x":1,"y":"é"}],"b":{"c":null,"d":true}}""",
            Canonical("""{"b":{"d":true,"c":null},"a":[{"y":"é","x":1}]}""")
        );
        Assert.Equal(Canonical("""{"a":1,"b":2}"""), Canonical("""{"b":2,"a":1}"""));
        Assert.Null(Canonical("{}"));
        Assert.Null(ExtraBody.Canonical(null));
    }

    [Theory]
    [InlineData("temperature", "write temperature instead")]
    [InlineData("n", "samples_per_problem")]
    [InlineData("stream", "write stream instead")]
    public void Refusal_FieldOfOurOwn_NamesTheOption(string field, string expected) => Assert.Contains(expected, ExtraBody.Refusal(field));

    [Fact]
    public void Refusal_AnyOtherField_Passes() => Assert.Null(ExtraBody.Refusal("chat_template_kwargs"));

    [Fact]
    public void TraceId_WithExtraFields_IsAnotherAndWithoutThemAsEver()
    {
        var plain = new SamplingSettings { Seed = 5 };
        ChatMessage[] messages = [new("user", "?")];

        Assert.Equal("00b43bd8d3b76168699a8323f6c7a560", TraceId.Create("p", messages, "t", plain, 0));
        Assert.NotEqual(
            TraceId.Create("p", messages, "t", plain, 0),
            TraceId.Create("p", messages, "t", plain with { ExtraBody = """{"top_k":20}""" }, 0)
        );
    }

    static string? Canonical(string json) =>
        ExtraBody.Canonical(
            JsonDocument.Parse(json).RootElement.EnumerateObject().Select(field => KeyValuePair.Create(field.Name, field.Value))
        );
}

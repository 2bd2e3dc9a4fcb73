using System.Globalization;
using System.Text;
using System.Text.Json;
using FsCheck.Xunit;
using TraceDistill.Teachers.Wire;
using TraceDistill.TestServer.Forms;
using TraceDistill.TestServer.Teaching;
using Xunit;

namespace TraceDistill.Teachers.Tests.Wire;

/// <summary>
/// What is read without a JSON reader is what a JSON reader reads. A member that nobody knows makes the JSON reader do it.
/// </summary>
public sealed class LogprobScannerTests
{
    static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static TheoryData<string, bool> Forms =>
        [
            .. from form in WireForms.All
            where form.Name is not ("sglang-generate" or "ollama")
            from spelled in (bool[])[false, true]
            select (form.Name, spelled),
        ];

    [Theory]
    [MemberData(nameof(Forms))]
    public void Read_AnyServersTokens_AreThoseThatAJsonReaderFinds(string form, bool spelled)
    {
        var request = TeacherRequest.Parse(
            $$"""
            {"model":"teacher","messages":[{"role":"user","content":"What is 7 + 2?"}],"seed":2,"max_tokens":100,"top_logprobs":7,"return_token_ids":{{(
                spelled ? "true" : "false"
            )}},"return_tokens_as_token_ids":{{(spelled ? "true" : "false")}}}
            """
        );
        var body = Encoding.UTF8.GetString(WireForms.Named(form).Completion(request, ScriptedTeachers.Sum(request)).Span);
        var indented = JsonSerializer.Serialize(JsonSerializer.Deserialize<JsonElement>(body), Indented);
        var strange = body.Replace("{\"token\":", "{\"nobody\":{\"knows\":[1]},\"token\":", StringComparison.Ordinal)
            .Replace("{\"id\":", "{\"nobody\":{\"knows\":[1]},\"id\":", StringComparison.Ordinal);

        var expected = Read(strange);

        Assert.Equal(expected, Read(body));
        Assert.Equal(expected, Read(indented));
    }

    [Property(MaxTest = 2000)]
    public bool Read_AnyLogprob_IsRoundedAsAJsonReaderRoundsIt(double value, int exponent, bool isScientific)
    {
        var logprob = -Math.Min(Math.Abs(double.IsNaN(value) ? 1 : value) * Math.Pow(10, exponent % 30), 1e30);
        var text = logprob.ToString(isScientific ? "E16" : "R", CultureInfo.InvariantCulture);
        return Logprob(text).Equals(JsonSerializer.Deserialize<float>(text));
    }

    [Theory]
    [InlineData("-0.69314718055994530941723212145817656807550013436025525412068")]
    [InlineData("-2.384185791015625e-07")]
    [InlineData("-1.00000005960464477539")] // The middle between two float32, and a bit.
    [InlineData("-1.000000059604644775390625")]
    [InlineData("-0")]
    [InlineData("0.0")]
    [InlineData("-9998.999")]
    [InlineData("-1e-45")]
    public void Read_AwkwardLogprob_IsRoundedAsAJsonReaderRoundsIt(string text) =>
        Assert.Equal(JsonSerializer.Deserialize<float>(text), Logprob(text));

    [Theory]
    [InlineData("-01")]
    [InlineData("-1.")]
    [InlineData("-.5")]
    [InlineData("--1")]
    [InlineData("-1e")]
    public void Read_LogprobThatIsNoNumber_IsRefusedAsByAJsonReader(string text) => Assert.Throws<WireFormatException>(() => Logprob(text));

    [Theory]
    [InlineData("""{"id":1,"logprob":-1,"bytes":[97],"top_logprobs":[]},""")]
    [InlineData("""{"id":1,"logprob":-1,"bytes":[97],"top_logprobs":[]}{"id":1,"logprob":-1}""")]
    [InlineData("""{"id":1,"logprob":-1,"bytes":[97,"top_logprobs":[]}""")]
    [InlineData("""{"id":1,"logprob":-1,"bytes":[97],}""")]
    [InlineData("""{"id":1,"logprob":-1,"token":"a""")]
    [InlineData("{\"id\":1,\"logprob\":-1,\"token\":\"a\nb\"}")]
    [InlineData("{\"id\":1,\"logprob\":-1,\"token\":\"a\u001fb\"}")]
    [InlineData("""{"id":1,"logprob":-1""")]
    public void Read_ListThatIsNoJson_IsRefused(string tokens) =>
        Assert.Throws<WireFormatException>(() =>
            CompletionReader.Read(WireJson.Utf8(WireJson.WithLogprobs($$"""{"content":[{{tokens}}]}""")), topLogprobs: 2)
        );

    static float Logprob(string text) =>
        CompletionReader
            .Read(WireJson.Utf8(WireJson.WithLogprobs($$"""{"content":[{"id":1,"logprob":{{text}},"top_logprobs":[]}]}""")), topLogprobs: 2)
            .Logprobs!.Logprobs[0];

    static string Read(string body) =>
        JsonSerializer.Serialize(
            CompletionReader.Read(Encoding.UTF8.GetBytes(body), topLogprobs: 7) is { } result
                ? new
                {
                    result.Text,
                    result.FinishReason,
                    result.Logprobs?.TokenIds,
                    Logprobs = result.Logprobs?.Logprobs.Select(BitConverter.SingleToInt32Bits),
                    result.Logprobs?.TopIds,
                    TopLogprobs = result.Logprobs?.TopLogprobs.Select(BitConverter.SingleToInt32Bits),
                    result.Logprobs?.TokenBytes,
                }
                : null
        );
}

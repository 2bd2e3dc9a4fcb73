using System.Text.Json;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Dialects;

public sealed class DialectDetectorTests
{
    [Theory]
    [InlineData("api.openai.com", "openai")]
    [InlineData("eu.api.openai.com", "openai")]
    [InlineData("my-resource.openai.azure.com", "azure")]
    [InlineData("api.deepseek.com", "deepseek")]
    [InlineData("openrouter.ai", "openrouter")]
    public async Task FindAsync_KnownHost_AsksNothing(string host, string expected) =>
        Assert.Equal(expected, (await DialectDetector.FindAsync(host, _ => throw new InvalidOperationException("asked"))).Name);

    [Theory]
    [InlineData("vllm", "vllm")]
    [InlineData("sglang", "sglang")]
    [InlineData("llamacpp", "llamacpp")]
    [InlineData("library", "ollama")]
    [InlineData("tracedistill", "tracedistill")]
    [InlineData("somebody", "compatible")]
    public async Task FindAsync_OwnerOfTheModels_TellsTheServer(string owner, string expected) =>
        Assert.Equal(expected, await NameAsync(("models", DialectReplies.Models("teacher", owner))));

    [Theory]
    [InlineData("../info", """{"model_id":"m","max_concurrent_requests":128,"router":"text-generation-router"}""", "tgi")]
    [InlineData("../api/version", """{"version":"0.12.6"}""", "ollama")]
    [InlineData("../info", """{"name":"some service"}""", "compatible")]
    [InlineData("../info", "[]", "compatible")]
    public async Task FindAsync_OwnerThatTellsNothing_LooksForTheServersOwnRoutes(string route, string answer, string expected) =>
        Assert.Equal(expected, await NameAsync(("models", DialectReplies.Models("org/model", "org/model")), (route, answer)));

    [Theory]
    [InlineData("[]")]
    [InlineData("""{"data":[5,{"owned_by":7},{}]}""")]
    public async Task FindAsync_ListOfAnotherShape_IsOfNoKnownKind(string models) =>
        Assert.Equal("compatible", await NameAsync(("models", models)));

    [Fact]
    public void Find_UnknownName_NamesTheNearest()
    {
        Assert.Null(KnownDialects.Find("auto"));
        Assert.Same(KnownDialects.SglangGenerate, KnownDialects.Find("sglang-generate"));
        Assert.Contains("did you mean \"vllm\"?", Assert.Throws<InvalidInputException>(() => KnownDialects.Find("vlm")).Message);
    }

    static async Task<string> NameAsync(params (string Route, string Answer)[] answers) =>
        (
            await DialectDetector.FindAsync("gpu-01", route =>
                Task.FromResult(
                    answers
                        .Where(known => known.Route == route)
                        .Select(known => (JsonElement?)JsonDocument.Parse(known.Answer).RootElement)
                        .FirstOrDefault()
                )
            )
        ).Name;
}

using System.Text.Json;
using TraceDistill.Data.Files;
using Xunit;

namespace TraceDistill.Data.Tests.Files;

public sealed class JsonPathTests
{
    static readonly JsonElement Json = JsonElement.Parse("""{"a":[{"b":"text"},7,null],"n":-1,"big":3000000000,"half":1.5}""");

    [Fact]
    public void Text_NamesAndIndices_LeadThereOrNowhere() =>
        Assert.Equal(
            ["text", null, null, null, null],
            [Json.Text("a", 0, "b"), Json.Text("a", 1), Json.Text("a", 9, "b"), Json.Text("a", "b"), Json.Text("missing", 0)]
        );

    [Fact]
    public void Count_OnlyWholeNumbersThatCount_AreOnes() =>
        Assert.Equal(
            [7, null, null, null, null],
            [Json.Count("a", 1), Json.Count("n"), Json.Count("big"), Json.Count("half"), Json.Count("a")]
        );

    [Fact]
    public void Items_OfAListAlone_AreGiven() =>
        Assert.Equal((3, 0, 0), (Json.Items("a").Count, Json.Items("a", 0).Count, Json.Items("missing").Count));

    [Fact]
    public void Find_Null_IsNothing() => Assert.Null(Json.Find("a", 2));
}

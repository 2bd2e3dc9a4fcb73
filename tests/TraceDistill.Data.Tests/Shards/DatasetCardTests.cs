using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using TraceDistill.Data.Traces;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Data.Tests.Shards;

/// <summary>What the card tells Hugging Face's <c>datasets</c>, through which other trainers read a data set.</summary>
public sealed partial class DatasetCardTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    string Shards => $"'{_directory.Path}/train-*.parquet'";

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task ConfigForTrainers_AppliedByAnotherReader_LeavesFinishedTracesThatAreNotWrong()
    {
        Trace[] traces =
        [
            Of(0, "stop", "correct"),
            Of(1, "stop", "unverified"),
            Of(2, "human", "unverified"),
            Of(3, "STOP", "correct"),
            Of(4, "eos", "correct"),
            Of(5, "stop", "incorrect"),
            Of(6, "length", "correct"),
            Of(7, "content_filter", "unverified"),
            Of(8, "unknown", "correct"),
            Of(9, "tool_calls", "unverified"),
            Of(10, "refusal", "unverified"),
            Of(11, "stop", "unverified") with
            {
                Answer = "",
            },
        ];
        await SampleTraces.WriteAsync(_directory.Path, traces);

        var card = File.ReadAllText(_directory.File("README.md"));
        var config = ConfigForTrainers().Match(card).Value;

        Assert.Contains("  columns: [messages]\n", config);
        var conditions = string.Join(" AND ", Filters(config));
        var kept = DuckDb.Query($"SELECT sample_index FROM '{_directory.Path}/{PathOf(config)}' WHERE {conditions} ORDER BY id");
        Assert.Equal(["0", "1", "2", "3", "4"], kept);
    }

    [Fact]
    public async Task Card_FolderWithOtherFiles_NamesTheShardsAlone()
    {
        await SampleTraces.WriteAsync(_directory.Path, [SampleTraces.Create(1)]);

        var paths = PathLine().Matches(File.ReadAllText(_directory.File("README.md"))).Select(match => match.Groups[1].Value);

        Assert.All(paths, path =>
            Assert.EndsWith("train-00000-of-00001.parquet", Assert.Single(Directory.GetFiles(_directory.Path, path)))
        );
    }

    [Fact]
    public async Task EntryForLlamaFactory_AppliedByAnotherReader_FindsItsTurns()
    {
        await SampleTraces.WriteAsync(_directory.Path, [SampleTraces.Create(1)]);

        var card = File.ReadAllText(_directory.File("README.md"));
        var entry = JsonNode.Parse(JsonBlock().Match(card).Groups[1].Value)!["traces"]!;
        var (column, tags) = (entry["columns"]!["messages"], entry["tags"]!);

        Assert.Contains($"- config_name: {entry["subset"]}\n", card);
        Assert.Equal(
            [$"{tags["system_tag"]}, {tags["user_tag"]}, {tags["assistant_tag"]}"],
            DuckDb.Query($"SELECT array_to_string(list_transform({column}, turn -> turn.{tags["role_tag"]}), ', ') FROM {Shards}")
        );
        Assert.EndsWith("2", Assert.Single(DuckDb.Query($"SELECT {column}[-1].{tags["content_tag"]} FROM {Shards}")));
    }

    /// <summary>A member that is null in some turns, such as tool calls, would break readers that take it for a list.</summary>
    [Fact]
    public async Task Messages_OfEveryTrace_AreTurnsOfRoleAndContentThatEndWithTheAssistants()
    {
        var traces = Enumerable.Range(0, 5).Select(index => SampleTraces.Create(index)).Append(SampleTraces.Human(5));
        await SampleTraces.WriteAsync(_directory.Path, traces);

        Assert.Equal(["STRUCT(\"role\" VARCHAR, \"content\" VARCHAR)[]"], DuckDb.Query($"SELECT DISTINCT typeof(messages) FROM {Shards}"));
        var turns = $"(SELECT unnest(messages, recursive := true) FROM {Shards})";
        Assert.Equal(["0"], DuckDb.Query($"SELECT count(*) FROM {turns} WHERE role IS NULL OR content IS NULL"));
        Assert.Equal(["assistant"], DuckDb.Query($"SELECT DISTINCT messages[-1].role FROM {Shards}"));
    }

    static Trace Of(int index, string finishReason, string verdict) =>
        SampleTraces.Create(index) with
        {
            FinishReason = finishReason,
            Verdict = verdict,
            SampleIndex = index,
        };

    static string PathOf(string config) => PathLine().Match(config).Groups[1].Value;

    /// <summary>The filters as conditions of SQL: column, operator and value are pyarrow's, and mean the same.</summary>
    static IEnumerable<string> Filters(string config) =>
        FilterLine()
            .Matches(config)
            .Select(match =>
                match.Groups["value"].Value switch
                {
                    ['[', .. var words, ']'] => $"{Side(match)} ({string.Join(", ", words.Split(", ").Select(Quoted))})",
                    var word => $"{Side(match)} {Quoted(word)}",
                }
            );

    static string Side(Match match) => $"{match.Groups["column"]} {match.Groups["operator"]}";

    static string Quoted(string word) => $"'{word.Trim('"')}'";

    [GeneratedRegex("- config_name: messages\n(?: .*\n)*", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex ConfigForTrainers();

    [GeneratedRegex("```json\n(.*?)```", RegexOptions.Singleline, 10_000)]
    private static partial Regex JsonBlock();

    [GeneratedRegex("^ +path: (.*)$", RegexOptions.Multiline, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex PathLine();

    [GeneratedRegex("""^  - \[(?<column>\w+), "?(?<operator>[^",]+)"?, (?<value>.*)\]$""", RegexOptions.Multiline, 10_000)]
    private static partial Regex FilterLine();
}

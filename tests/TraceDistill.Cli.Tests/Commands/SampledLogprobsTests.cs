using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

/// <summary>Soft targets drawn from the embedded teacher's distribution, from the server to a student.</summary>
public sealed class SampledLogprobsTests : IDisposable
{
    const int Draws = 12;

    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    readonly CliHarness _cli = new()
    {
        Stages = [new ProblemsVerb(), new GenerateVerb(), new ScoreVerb(), new TrainVerb(), new EvaluateVerb()],
        Others = [new InspectVerb()],
        Clock = TimeProvider.System,
    };

    public void Dispose() => _cli.Dispose();

    [Theory]
    [InlineData("plain")]
    [InlineData("compact")]
    public async Task Generate_WithDraws_TeachesAStudentAndIsToldByInspect(string layout)
    {
        var traces = await GenerateAsync("--layout", layout);

        Assert.Equal(Draws, ShardManifest.Load(_cli.File("traces"))!.Dataset.SampledLogprobs);
        Assert.All(traces, AssertCounts);
        await RunAsync("inspect", _cli.File("traces"));
        Assert.Contains($"soft targets are sampled: {Draws} draws", _cli.Out + _cli.Error, StringComparison.Ordinal);
        await RunAsync(Training());
        Assert.True(File.Exists(Path.Combine(_cli.File("student"), "model.safetensors")));
    }

    /// <summary>KL to draws is larger than to the distribution that they are of: it is not told as KL to the teacher.</summary>
    [Fact]
    public async Task Evaluate_TracesWithDraws_ComparesNoDistributions()
    {
        await GenerateAsync("--layout", "plain");

        await RunAsync(
            "evaluate",
            "--problems",
            _cli.File("problems.jsonl"),
            "--limit",
            "1",
            "--max-tokens",
            "8",
            "--traces",
            _cli.File("traces"),
            "--models",
            $"teacher={Teacher}",
            "--out",
            _cli.File("scores")
        );

        Assert.Contains($"holds {Draws} draws of each token", _cli.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("KL to the teacher 0", _cli.Error, StringComparison.Ordinal);
    }

    /// <summary>
    /// Draws are by the seed and a token's place in the text: of what the teacher wrote they come out again. The two passes differ in the
    /// last bits, which may move a draw that falls between two tokens.
    /// </summary>
    [Theory]
    [InlineData("--teacher")]
    [InlineData("--serve")]
    public async Task Score_TracesThatTheTeacherWrote_DrawsWhatTheirGenerationDrew(string way)
    {
        var written = await GenerateAsync("--layout", "plain");
        await ScoreAsync(way, "scored");
        await ScoreAsync(way, "others", "--seed", "1");

        var (scored, others) = (await ReadAsync("scored"), await ReadAsync("others"));
        Assert.All(scored.Concat(others), AssertCounts);
        Assert.Equal(Draws, ShardManifest.Load(_cli.File("scored"))!.Dataset.SampledLogprobs);
        Assert.InRange(Same(scored), 0.99, 1);
        Assert.InRange(Same(others), 0, 0.9);

        double Same(List<Trace> again) => Rows(written).Zip(Rows(again)).Average(pair => pair.First.SequenceEqual(pair.Second) ? 1.0 : 0.0);

        static IEnumerable<(int, float)[]> Rows(List<Trace> traces) =>
            traces.SelectMany(trace => trace.Logprobs!.TopIds.Zip(trace.Logprobs.TopLogprobs).Chunk(Draws));

        Task ScoreAsync(string how, string name, params string[] more) =>
            RunAsync([
                "score",
                "--traces",
                _cli.File("traces"),
                how,
                Teacher,
                "--sampled-logprobs",
                $"{Draws}",
                "--layout",
                "plain",
                "--out",
                _cli.File(name),
                .. more,
            ]);
    }

    [Theory]
    [InlineData("--kd-temperature", "2", "set the temperature to 1")]
    [InlineData("--kd-missing-mass", "renormalize", "set kd_missing_mass: tail_bucket")]
    [InlineData("--kd-missing-mass", "uniform_tail", "set kd_missing_mass: tail_bucket")]
    [InlineData("--kd-missing-mass", "residual_to_label", "set kd_missing_mass: tail_bucket")]
    [InlineData("--kd-sampling", "sampled_top_k", "leave out kd_sampling")]
    [InlineData("--kd-uld-weight", "0.1", "leave out kd_uld_weight")]
    [InlineData("--objectives", "{jeffreys: 1}", "leave out the objective jeffreys")]
    [InlineData("--objectives", "{kl_forward: {temperature: 2}}", "set the temperature to 1")]
    [InlineData("--kd-top-k", "3", "leave out kd_top_k")]
    public async Task Train_OnDrawsWithWhatUndoesThem_IsRefusedInALine(string option, string value, string expected)
    {
        await GenerateAsync();

        Assert.Equal(2, await _cli.RunAsync([.. Training(), option, value]));
        Assert.Contains($"soft targets are {Draws} draws of each token", _cli.Error, StringComparison.Ordinal);
        Assert.Contains(expected, _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Train_JudgedByDrawsWithWhatUndoesThem_IsRefusedInALine()
    {
        await GenerateAsync();
        await RunAsync(
            "score",
            "--traces",
            _cli.File("traces"),
            "--teacher",
            Teacher,
            "--top-logprobs",
            "8",
            "--out",
            _cli.File("likeliest")
        );
        string[] training = [.. Training().Select(word => word == _cli.File("traces") ? _cli.File("likeliest") : word)];

        Assert.Equal(2, await _cli.RunAsync([.. training, "--eval-traces", _cli.File("traces"), "--kd-top-k", "3"]));

        Assert.Contains($"soft targets are {Draws} draws of each token", _cli.Error, StringComparison.Ordinal);
        Assert.Contains("leave out kd_top_k", _cli.Error, StringComparison.Ordinal);
    }

    static CancellationToken Token => TestContext.Current.CancellationToken;

    static void AssertCounts(Trace trace)
    {
        var logprobs = trace.Logprobs!;
        foreach (var row in logprobs.TopLogprobs.Chunk(Draws))
        {
            Assert.Equal(float.NegativeInfinity, TailMass.Logprob(row));
            Assert.Equal(Draws, row.Sum(logprob => Math.Round(Draws * Math.Exp(logprob))));
        }
    }

    string[] Training() =>
        [
            "train",
            "--traces",
            _cli.File("traces"),
            "--architecture",
            "{hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}",
            "--max-steps",
            "3",
            "--batch-tokens",
            "256",
            "--out",
            _cli.File("student"),
        ];

    async Task<List<Trace>> GenerateAsync(params string[] more)
    {
        await RunAsync("problems", "--family", "all", "--count", "6", "--seed", "5", "--out", _cli.File("problems.jsonl"));
        await RunAsync([
            "generate",
            "--problems",
            _cli.File("problems.jsonl"),
            "--serve",
            Teacher,
            "--sampled-logprobs",
            $"{Draws}",
            "--max-tokens",
            "90",
            "--out",
            _cli.File("traces"),
            .. more,
        ]);
        return await ReadAsync("traces");
    }

    async Task RunAsync(params string[] arguments) => Assert.True(await _cli.RunAsync(arguments) == 0, _cli.Error);

    async Task<List<Trace>> ReadAsync(string name)
    {
        var reader = await ShardReader.OpenAsync(_cli.File(name), cancellationToken: Token);
        return await reader.ReadAsync(Token).ToListAsync(Token);
    }
}

using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Safetensors;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Models.Tests.Adapters;

/// <summary>Files as PEFT writes them, written here by hand, and what they make of a model by the formulas of its documentation.</summary>
public sealed class PeftAdapterTests : IDisposable
{
    const string Query = "model.layers.0.self_attn.q_proj",
        Down = "model.layers.1.mlp.down_proj",
        Wrapper = "base_model.model.";
    const int Rows = 5,
        Inner = 4;

    static readonly (string Name, long[] Shape)[] Model =
    [
        ("model.embed_tokens.weight", [6, Inner]),
        (Query + ".weight", [Rows, Inner]),
        (Query + ".bias", [Rows]),
        (Down + ".weight", [Inner, Rows]),
        ("model.norm.weight", [Inner]),
    ];

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>alpha / r, or alpha / √r; alpha by the layer's pattern, r by the shapes.</summary>
    [Theory]
    [InlineData("""{"r": 3, "lora_alpha": 6, "rank_pattern": {"down_proj": 2}}""", 2.0, 3.0)]
    [InlineData("""{"lora_alpha": 6, "use_rslora": true}""", 3.4641016151377544, 4.2426406871192851)]
    [InlineData(
        """{"r": 3, "lora_alpha": 6, "rank_pattern": {"down_proj": 2}, "alpha_pattern": {"down_proj": 16, "q_proj": 1.5}}""",
        0.5,
        8.0
    )]
    [InlineData("""{"lora_alpha": 6, "alpha_pattern": {"layers\\.[1-9]\\..*": 5, "proj": 7}}""", 2.0, 2.5)]
    public void Merge_RanksAndAlphas_CountAsPeftHasThem(string settings, double query, double down)
    {
        Write(settings, [.. Pair(Query, rank: 3, Rows, Inner), .. Pair(Down, rank: 2, Inner, Rows)]);

        Assert.Equal(Expected(Query, query, 3, Inner), Merged(Query + ".weight", Rows * Inner), Close);
        Assert.Equal(Expected(Down, down, 2, Rows), Merged(Down + ".weight", Rows * Inner), Close);
        Assert.Equal(Base("model.norm.weight", Inner), Merged("model.norm.weight", Inner));
    }

    [Fact]
    public void Merge_Dora_BringsEachRowToItsMagnitude()
    {
        Write(
            """{"r": 3, "lora_alpha": 6, "use_dora": true}""",
            [.. Pair(Query, rank: 3, Rows, Inner), (Wrapper + Query + ".lora_magnitude_vector", [Rows])]
        );
        var magnitudes = Values(Wrapper + Query + ".lora_magnitude_vector", Rows);

        var sum = Expected(Query, 2, 3, Inner).Chunk(Inner).ToArray();
        var expected = sum.SelectMany(
            (row, r) => row.Select(value => (float)(value * (double)magnitudes[r] / Math.Sqrt(row.Sum(v => (double)v * v))))
        );
        Assert.Equal(expected, Merged(Query + ".weight", Rows * Inner), Close);
    }

    [Fact]
    public void Merge_WeightsThatWereTrainedWhole_TakeTheBasesPlace()
    {
        Write(
            """{"r": 3, "lora_alpha": 6, "bias": "lora_only", "modules_to_save": ["embed_tokens", "norm"]}""",
            [
                .. Pair(Query, 3, Rows, Inner),
                (Wrapper + Query + ".base_layer.bias", [Rows]),
                (Wrapper + "model.embed_tokens.weight", [6, Inner]),
                (Wrapper + "model.norm.modules_to_save.weight", [Inner]),
            ]
        );

        Assert.Equal(Values(Wrapper + Query + ".base_layer.bias", Rows), Merged(Query + ".bias", Rows));
        Assert.Equal(Values(Wrapper + "model.embed_tokens.weight", 6 * Inner), Merged("model.embed_tokens.weight", 6 * Inner));
        Assert.Equal(Values(Wrapper + "model.norm.modules_to_save.weight", Inner), Merged("model.norm.weight", Inner));
    }

    [Theory]
    [InlineData("""{"peft_type": "IA3"}""", "adapter_config.json: peft_type \"IA3\" is not supported; supported: LORA")]
    [InlineData("""{"init_lora_weights": "pissa_niter_4"}""", "init_lora_weights \"pissa_niter_4\" began by changing the base model")]
    [InlineData("""{"fan_in_fan_out": true}""", "adapter_config.json: fan_in_fan_out is not supported")]
    [InlineData("""{"alora_invocation_tokens": [5]}""", "adapter_config.json: alora_invocation_tokens is not supported")]
    [InlineData("""{"lora_alpha": 6, "lora_alpha": 7}""", "adapter_config.json: not valid JSON: ")]
    [InlineData("""{"alpha_pattern": ["q_proj"]}""", "alpha_pattern is [\"q_proj\"] but must be an object")]
    [InlineData("""{"r": 4}""", "q_proj: lora_A has rank 3, and adapter_config.json says 4: they are of different adapters")]
    [InlineData("""{"lora_alpha": "six"}""", "adapter_config.json: lora_alpha is \"six\" but must be a number")]
    [InlineData("""{"alpha_pattern": {"(": 3}}""", "alpha_pattern: \"(\" is not a regular expression that can be matched")]
    [InlineData(
        """{"use_dora": true}""",
        "base_model.model.model.layers.0.self_attn.q_proj: lora_magnitude_vector is missing, and use_dora is true"
    )]
    public void Open_SettingsThatCannotBe_AreNamed(string settings, string message)
    {
        Write(settings, [.. Pair(Query, 3, Rows, Inner)]);

        Assert.Contains(message, Refusal());
    }

    [Theory]
    [InlineData(
        "model.layers.7.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight fits no weight of the model"
    )]
    [InlineData("model.embed_tokens.lora_embedding_A", "base_model.model.model.embed_tokens.lora_embedding_A fits no weight of the model")]
    [InlineData(
        "lm_head.lora_A.weight",
        "base_model.model.lm_head.lora_A.weight changes the output projection, which this model shares with its embedding"
    )]
    [InlineData("model.norm.weight", "base_model.model.model.norm.weight has shape [3, 4], the model's weight [4]")]
    [InlineData(
        "model.layers.1.mlp.down_proj.lora_A.weight",
        "base_model.model.model.layers.1.mlp.down_proj: lora_A of shape [3, 4] and lora_B of none do not make the model's [4, 5]"
    )]
    public void Open_TensorThatDoesNotFit_IsNamed(string tensor, string message)
    {
        Write("{}", [.. Pair(Query, 3, Rows, Inner), (Wrapper + tensor, [3, Inner])]);

        Assert.StartsWith($"{_folder.File("adapter_model.safetensors")}: {message}", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Open_FolderWithoutTheFiles_SaysWhatIsNeeded()
    {
        File.WriteAllText(_folder.File("adapter_config.json"), "{}");
        File.WriteAllText(_folder.File("adapter_model.bin"), "pickled");

        Assert.Contains("holds no adapter: adapter_config.json and adapter_model.safetensors are needed", Refusal());
        Write("{}", []);
        Assert.Contains("there is no lora_A in it", Refusal());
    }

    string Refusal() => Assert.Throws<InvalidInputException>(() => PeftAdapter.Open(_folder.Path, Model)).Message;

    static IEnumerable<(string Name, long[] Shape)> Pair(string layer, int rank, int rows, int inner) =>
        [($"{Wrapper}{layer}.lora_A.weight", [rank, inner]), ($"{Wrapper}{layer}.lora_B.weight", [rows, rank])];

    /// <summary>W₀ + s·B·A.</summary>
    static float[] Expected(string layer, double scale, int rank, int inner)
    {
        var (a, b) = (
            Values($"{Wrapper}{layer}.lora_A.weight", rank * inner),
            Values($"{Wrapper}{layer}.lora_B.weight", rank * (Rows * Inner / inner))
        );
        return
        [
            .. Base(layer + ".weight", Rows * Inner)
                .Select(
                    (value, i) =>
                        (float)(
                            value
                            + (scale * Enumerable.Range(0, rank).Sum(j => (double)b[(i / inner * rank) + j] * a[(j * inner) + (i % inner)]))
                        )
                ),
        ];
    }

    float[] Merged(string name, int count)
    {
        using var adapter = PeftAdapter.Open(_folder.Path, Model);
        var values = Base(name, count);
        adapter.Merge(name, values);
        return values;
    }

    void Write(string settings, (string Name, long[] Shape)[] tensors)
    {
        File.WriteAllText(
            _folder.File("adapter_config.json"),
            settings.Contains("peft_type", StringComparison.Ordinal)
                ? settings
                : settings.Insert(1, settings == "{}" ? "\"peft_type\": \"LORA\"" : "\"peft_type\": \"LORA\", ")
        );
        SafetensorsWriter.Write(
            _folder.File("adapter_model.safetensors"),
            _ => TensorDtype.Float32,
            tensors,
            name => Values(name, (int)tensors.Single(tensor => tensor.Name == name).Shape.Aggregate(1L, (product, size) => product * size))
        );
    }

    static float[] Base(string name, int count) => Values("base " + name, count);

    /// <summary>Numbers that belong to a name.</summary>
    static float[] Values(string name, int count)
    {
        var random = new Random(name.Aggregate(17, (hash, character) => unchecked((hash * 31) + character)));
        return [.. Enumerable.Range(0, count).Select(_ => (float)random.NextDouble() - 0.5f)];
    }

    static bool Close(float expected, float actual) => Math.Abs(expected - actual) < 1e-6;
}

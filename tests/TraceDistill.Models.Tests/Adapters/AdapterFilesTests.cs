using System.Text.Json;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Safetensors;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Models.Tests.Adapters;

public class AdapterFilesTests
{
    /// <summary>Names and settings as PEFT's <c>get_peft_model_state_dict</c> and <c>LoraConfig</c> have them.</summary>
    [Fact]
    public void Save_DoraAdapter_HasPeftsNamesAndSettings()
    {
        using var folder = new TemporaryDirectory();
        using var parameters = DecoderShapes.Parameters("grouped", seed: 6);
        using var adapter = SampleAdapters.Create(parameters, useDora: true, dropout: 0.05, "k_proj", "layers.1.mlp.up_proj");

        AdapterFiles.Save(folder.Path, adapter, "models/base");

        using var file = SafetensorsFile.Open(folder.File("adapter_model.safetensors"));
        const string Key = "base_model.model.model.layers.0.self_attn.k_proj.";
        Assert.Equal(9, file.Entries.Count);
        Assert.Equal([3, 48], file.Entries[Key + "lora_A.weight"].Shape);
        Assert.Equal([16, 3], file.Entries[Key + "lora_B.weight"].Shape);
        Assert.Equal([16], file.Entries[Key + "lora_magnitude_vector"].Shape);
        Assert.Equal([44, 3], file.Entries["base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"].Shape);
        var values = new float[48];
        file.Read(file.Entries[Key + "lora_B.weight"], values);
        Assert.Equal(adapter.Values("model.layers.0.self_attn.k_proj.lora_B.weight").ToArray(), values);

        using var settings = JsonDocument.Parse(File.ReadAllBytes(folder.File("adapter_config.json")));
        var root = settings.RootElement;
        Assert.Equal(
            ("LORA", "CAUSAL_LM", "models/base", "none"),
            (Text("peft_type"), Text("task_type"), Text("base_model_name_or_path"), Text("bias"))
        );
        Assert.Equal(
            (3, 7, 0.05),
            (root.GetProperty("r").GetInt32(), root.GetProperty("lora_alpha").GetInt32(), root.GetProperty("lora_dropout").GetDouble())
        );
        Assert.Equal((true, false), (root.GetProperty("use_dora").GetBoolean(), root.GetProperty("use_rslora").GetBoolean()));
        Assert.Equal(
            ["k_proj", "layers.1.mlp.up_proj"],
            root.GetProperty("target_modules").EnumerateArray().Select(target => target.GetString())
        );

        string? Text(string key) => root.GetProperty(key).GetString();
    }

    [Fact]
    public void Save_AllLinear_NamesTheSevenLayers()
    {
        using var folder = new TemporaryDirectory();
        using var parameters = DecoderShapes.Parameters("grouped", seed: 6);
        using var adapter = SampleAdapters.Create(parameters, useDora: false);

        AdapterFiles.Save(folder.Path, adapter, "models/base");

        using var settings = JsonDocument.Parse(File.ReadAllBytes(folder.File("adapter_config.json")));
        Assert.Equal(
            ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            settings.RootElement.GetProperty("target_modules").EnumerateArray().Select(target => target.GetString())
        );
    }
}

using System.Text.Json.Nodes;
using TraceDistill.Data.Files;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Safetensors;

namespace TraceDistill.Models.Adapters;

/// <summary>
/// An adapter as PEFT's <c>save_pretrained</c> lays it out, so that PEFT, vLLM and llama.cpp's converter load it beside its base model.
/// </summary>
public static class AdapterFiles
{
    /// <summary>Where a training keeps its adapter, beside the model that it has been merged into.</summary>
    public const string Folder = "adapter";

    public const string Configuration = "adapter_config.json";
    public const string Weights = "adapter_model.safetensors";

    /// <summary>PEFT wraps a model twice, and its names say so.</summary>
    internal const string Prefix = "base_model.model.";

    /// <summary>Writes adapter_config.json and, last, the weights.</summary>
    /// <param name="directory">Made where needed.</param>
    /// <param name="adapter">Not merged yet.</param>
    /// <param name="baseModel">The model directory that the adapter belongs beside.</param>
    public static void Save(string directory, LoraAdapter adapter, string baseModel)
    {
        Directory.CreateDirectory(directory);
        JsonFile.Write(Path.Combine(directory, Configuration), Describe(adapter, baseModel));
        SafetensorsWriter.Write(
            Path.Combine(directory, Weights),
            _ => TensorDtype.Float32,
            [.. adapter.Names.Select(name => (Prefix + name, adapter.ShapeOf(name)))],
            name => Values(name[Prefix.Length..])
        );

        ReadOnlySpan<float> Values(string name)
        {
            var values = new float[adapter.ShapeOf(name).ElementCount()];
            adapter.Read(name, 0, values);
            return values;
        }
    }

    static JsonObject Describe(LoraAdapter adapter, string baseModel) => Describe(adapter.Settings, Targets(adapter), baseModel);

    static JsonObject Describe(LoraSettings settings, IEnumerable<string> targets, string baseModel) =>
        new()
        {
            ["peft_type"] = "LORA",
            ["task_type"] = "CAUSAL_LM",
            ["base_model_name_or_path"] = baseModel,
            ["r"] = settings.Rank,
            ["lora_alpha"] = settings.Alpha,
            ["lora_dropout"] = settings.Dropout,
            ["target_modules"] = new JsonArray([.. targets.Select(target => JsonValue.Create(target))]),
            ["use_dora"] = settings.UseDora,
            ["use_rslora"] = false,
            ["bias"] = "none",
            ["fan_in_fan_out"] = false,
            ["init_lora_weights"] = true,
            ["inference_mode"] = true,
            ["modules_to_save"] = null,
        };

    /// <summary>vLLM does not know the word for all of them.</summary>
    static IEnumerable<string> Targets(LoraAdapter adapter) =>
        adapter.Settings.TargetModules.Contains(LoraAdapter.AllLinear) ? adapter.LayerNames : adapter.Settings.TargetModules;
}

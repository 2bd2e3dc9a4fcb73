using TraceDistill.Models.Adapters;
using TraceDistill.Models.Weights;

namespace TraceDistill.Tests.Support;

/// <summary>Adapters as a training leaves them: B not zero, magnitudes not those of the rows.</summary>
static class SampleAdapters
{
    public static LoraAdapter Create(IDecoderWeights model, bool useDora, double dropout = 0, params string[] targets)
    {
        var settings = new LoraSettings(3, 7, dropout, targets.Length > 0 ? targets : [LoraAdapter.AllLinear], useDora);
        var adapter = new LoraAdapter(model, settings, seed: 4);
        var random = new Random(5);
        foreach (var name in adapter.Names.Where(name => !name.Contains("lora_A")))
        {
            foreach (ref var value in adapter.Values(name))
            {
                value += (float)(0.4 * (random.NextDouble() - 0.5));
            }
        }

        adapter.Refresh();
        return adapter;
    }

    /// <summary>Makes an adapter, by way of its files, part of its model's weights.</summary>
    public static void Merge(LoraAdapter adapter, ModelParameters model)
    {
        using var folder = new TemporaryDirectory();
        AdapterFiles.Save(folder.Path, adapter, "base");
        using var merged = PeftAdapter.Open(folder.Path, model.Names.Select(name => (name, model.ShapeOf(name))));
        foreach (var name in model.Names)
        {
            var values = model.Values(name).ToArray();
            merged.Merge(name, values);
            values.CopyTo(model.Values(name));
        }
    }
}

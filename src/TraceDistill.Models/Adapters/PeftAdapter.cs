using System.Numerics.Tensors;
using System.Text.RegularExpressions;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Safetensors;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using IoPath = System.IO.Path;

namespace TraceDistill.Models.Adapters;

/// <summary>
/// An adapter in PEFT's layout, whoever trained it, to be merged into its base model: LoRA with ranks and scales of its own for each layer,
/// rank-stabilised or not, DoRA, and weights that were trained whole (<c>modules_to_save</c>, <c>bias</c>).
/// </summary>
public sealed class PeftAdapter : IDisposable
{
    const string A = ".lora_A.weight",
        B = ".lora_B.weight",
        Magnitude = ".lora_magnitude_vector",
        Weight = ".weight";

    /// <summary>
    /// Ways to begin that change the base model too, so that the adapter says what to add to another than the one on disk.
    /// </summary>
    static readonly string[] BaseChanging = ["pissa", "olora", "corda", "loftq"];

    /// <summary>Settings under which merging, as it is done here, would give another model.</summary>
    static readonly string[] Refused = ["fan_in_fan_out", "layer_replication", "alora_invocation_tokens"];

    readonly SafetensorsFile _file;
    readonly JsonField _settings;
    readonly bool _useDora;

    /// <summary>Changes to weights, added or put in their place, by the weight's name.</summary>
    readonly Dictionary<string, Change> _changes = [];

    PeftAdapter(SafetensorsFile file, JsonField settings, bool useDora) => (_file, _settings, _useDora) = (file, settings, useDora);

    /// <summary>The file of its weights.</summary>
    public string Path => _file.Path;

    /// <param name="directory">Holds adapter_config.json and adapter_model.safetensors.</param>
    /// <param name="model">Names and shapes of the base model's weights.</param>
    /// <exception cref="InvalidInputException">A file is absent, damaged, of another kind of adapter or of another model.</exception>
    public static PeftAdapter Open(string directory, IEnumerable<(string Name, long[] Shape)> model)
    {
        var (settings, weights) = (IoPath.Combine(directory, AdapterFiles.Configuration), IoPath.Combine(directory, AdapterFiles.Weights));
        if (!File.Exists(settings) || !File.Exists(weights))
        {
            var hint =
                IoPath.Combine(directory, AdapterFiles.Folder) is var inside && Directory.Exists(inside)
                    ? $"did you mean {inside}?"
                    : $"{AdapterFiles.Configuration} and {AdapterFiles.Weights} are needed "
                        + "(one in adapter_model.bin must be saved as safetensors first)";
            throw new InvalidInputException($"{directory}: holds no adapter: {hint}");
        }

        var fields = JsonField.Read(settings);
        RefuseWhatIsNotBuilt(fields);
        var useDora = fields.Boolean("use_dora", absent: false);
        var adapter = new PeftAdapter(SafetensorsFile.Open(weights), fields, useDora);
        try
        {
            adapter.Match(model.ToDictionary());
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Returns whether the adapter has something for the named weight.</summary>
    public bool Changes(string weight) => _changes.ContainsKey(weight);

    /// <summary>Makes what the adapter adds to a weight part of it.</summary>
    /// <param name="weight">Its name.</param>
    /// <param name="values">All of it; stays as it is where the adapter adds nothing.</param>
    public void Merge(string weight, Memory<float> values)
    {
        if (!_changes.TryGetValue(weight, out var change))
        {
            return;
        }

        if (change.Whole is { } whole)
        {
            _file.Read(whole, values.Span);
            return;
        }

        float[] a = Read(change.A!),
            b = Read(change.B!),
            magnitude = change.Magnitude is { } entry ? Read(entry) : [];
        int rank = (int)change.A!.Shape[0],
            rows = (int)change.B!.Shape[0],
            inner = (int)change.A.Shape[1];
        const int Stretch = 256;
        Parallel.For(0, (rows + Stretch - 1) / Stretch, part => LoraRows.Visit(
                a,
                b,
                rank,
                change.Scale,
                part * Stretch,
                Math.Min(Stretch, rows - (part * Stretch)),
                (row, stored) => Row(row).CopyTo(stored),
                (row, sum) =>
                {
                    if (_useDora)
                    {
                        TensorPrimitives.Multiply(sum, magnitude[row] / LoraRows.Norm(sum), sum);
                    }

                    TensorPrimitives.ConvertTruncating<double, float>(sum, Row(row));
                }
            ));

        Span<float> Row(int row) => values.Span.Slice(row * inner, inner);
    }

    public void Dispose() => _file.Dispose();

    static void RefuseWhatIsNotBuilt(JsonField settings)
    {
        var kind = settings.Find("peft_type")?.Word();
        if (kind != "LORA")
        {
            throw settings.Fail($"peft_type \"{kind}\" is not supported; supported: LORA, with use_dora or without");
        }

        if (
            settings.Find("init_lora_weights")?.Word() is { } start
            && BaseChanging.Any(way => start.StartsWith(way, StringComparison.OrdinalIgnoreCase))
        )
        {
            throw settings.Fail(
                $"init_lora_weights \"{start}\" began by changing the base model, which this adapter therefore does not fit; "
                    + "convert it to plain LoRA with PEFT (path_initial_model_for_weight_conversion)"
            );
        }

        if (Refused.FirstOrDefault(name => settings.Find(name)?.Shown is not (null or "false" or "[]")) is { } refused)
        {
            throw settings.Fail($"{refused} is not supported");
        }
    }

    /// <summary>Finds the weight that each tensor of the adapter changes.</summary>
    void Match(Dictionary<string, long[]> model)
    {
        var problems = new List<string>();
        foreach (var (key, entry) in _file.Entries)
        {
            var name = PlainName(key);
            if (name.EndsWith(A, StringComparison.Ordinal))
            {
                MatchPair(name[..^A.Length], key[..^A.Length], model, problems);
            }
            else if (
                (
                    name.EndsWith(B, StringComparison.Ordinal) ? B
                    : name.EndsWith(Magnitude, StringComparison.Ordinal) ? Magnitude
                    : null
                )
                is not { } companion
            )
            {
                MatchWhole(name, entry, model, problems);
            }
            else if (key[..key.LastIndexOf(companion, StringComparison.Ordinal)] is var layer && !_file.Entries.ContainsKey(layer + A))
            {
                problems.Add($"{key} has no {layer}{A} beside it");
            }
        }

        if (_changes.Count == 0 && problems.Count == 0)
        {
            problems.Add("there is no lora_A in it");
        }

        if (problems.Count > 0)
        {
            throw new InvalidInputException(
                $"{_file.Path}: {string.Join("; ", problems.Take(3))}{(problems.Count > 3 ? $"; and {problems.Count - 3} more" : "")}"
            );
        }
    }

    void MatchWhole(string name, SafetensorsEntry entry, Dictionary<string, long[]> model, List<string> problems)
    {
        if (!model.TryGetValue(name, out var shape))
        {
            problems.Add(Missing(entry.Name, name));
        }
        else if (!entry.Shape.SequenceEqual(shape))
        {
            problems.Add($"{entry.Name} has shape {Show(entry.Shape)}, the model's weight {Show(shape)}");
        }
        else if (!_changes.TryAdd(name, new Change { Whole = entry }))
        {
            problems.Add($"{name} is changed twice");
        }
    }

    void MatchPair(string layer, string key, Dictionary<string, long[]> model, List<string> problems)
    {
        var (a, b) = (_file.Entries[key + A], _file.Entries.GetValueOrDefault(key + B));
        if (!model.TryGetValue(layer + Weight, out var shape))
        {
            problems.Add(Missing(key + A, layer + Weight));
        }
        else if (
            b is null
            || shape.Length != 2
            || a.Shape is not [> 0, var inner]
            || !b.Shape.SequenceEqual([shape[0], a.Shape[0]])
            || inner != shape[1]
        )
        {
            problems.Add(
                $"{key}: lora_A of shape {Show(a.Shape)} and lora_B of "
                    + $"{(b is null ? "none" : Show(b.Shape))} do not make the model's {Show(shape)}"
            );
        }
        else if (Setting("r", "rank_pattern", layer) is { } rank && rank != a.Shape[0])
        {
            problems.Add(
                $"{key}: lora_A has rank {a.Shape[0]}, and {AdapterFiles.Configuration} says {rank}: they are of different adapters"
            );
        }
        else if (
            MagnitudeOf(key) is var magnitude
            && (_useDora ? magnitude?.Shape.SequenceEqual([shape[0]]) != true : magnitude is not null)
        )
        {
            problems.Add(
                (
                    $"{key}: lora_magnitude_vector is "
                    + $"{(magnitude is null ? "missing" : Show(magnitude.Shape))}, and use_dora is {_useDora}"
                ).ToLowerInvariant()
            );
        }
        else if (
            !_changes.TryAdd(
                layer + Weight,
                new Change
                {
                    A = a,
                    B = b,
                    Magnitude = magnitude,
                    Scale = ScaleOf(layer, a.Shape[0]),
                }
            )
        )
        {
            problems.Add($"{layer}{Weight} is changed twice");
        }
    }

    static string Missing(string key, string weight) =>
        weight == "lm_head.weight"
            ? $"{key} changes the output projection, which this model shares with its embedding"
            : $"{key} fits no weight of the model, or not in a way that is supported: linear layers may have lora_A, "
                + "lora_B and lora_magnitude_vector, and any weight one of its shape in its place";

    SafetensorsEntry? MagnitudeOf(string key) =>
        _file.Entries.GetValueOrDefault(key + Magnitude) ?? _file.Entries.GetValueOrDefault(key + Magnitude + Weight);

    /// <summary>
    /// alpha / r, or alpha / √r where it is rank-stabilised (Kalajdzievski, arXiv 2312.03732), with the layer's own alpha and rank.
    /// </summary>
    double ScaleOf(string layer, long rank)
    {
        var alpha = Setting("lora_alpha", "alpha_pattern", layer) ?? 8;
        return alpha / (_settings.Boolean("use_rslora", absent: false) ? Math.Sqrt(rank) : rank);
    }

    /// <returns>A number of the layer's own, by the first pattern that names it, or that of all; null where there is neither.</returns>
    double? Setting(string name, string patterns, string layer)
    {
        if (_settings.Find(patterns) is { } own)
        {
            foreach (var (pattern, value) in own.Entries())
            {
                if (IsMatch(patterns, pattern, layer))
                {
                    return value.Number();
                }
            }
        }

        return _settings.Find(name)?.Number();
    }

    /// <summary>A pattern names a layer by the whole of its name or, a regular expression, by what follows a dot in it.</summary>
    bool IsMatch(string patterns, string pattern, string layer)
    {
        try
        {
            return layer == pattern || Regex.IsMatch(layer, $@"(^|\.)({pattern})$", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
        }
        catch (Exception error) when (error is ArgumentException or RegexMatchTimeoutException)
        {
            throw _settings.Fail($"{patterns}: \"{pattern}\" is not a regular expression that can be matched", error);
        }
    }

    float[] Read(SafetensorsEntry entry)
    {
        var values = new float[entry.Shape.ElementCount()];
        _file.Read(entry, values);
        return values;
    }

    /// <summary>The name of a model's weight without what PEFT's wrappers put around it.</summary>
    static string PlainName(string key) =>
        (key.StartsWith(AdapterFiles.Prefix, StringComparison.Ordinal) ? key[AdapterFiles.Prefix.Length..] : key)
            .Replace(".base_layer.", ".")
            .Replace(".modules_to_save.", ".")
            .Replace(Magnitude + Weight, Magnitude);

    static string Show(long[] shape) => $"[{string.Join(", ", shape)}]";

    /// <summary>Either a branch, or the weight itself.</summary>
    sealed record Change
    {
        /// <summary>[r, K].</summary>
        public SafetensorsEntry? A { get; init; }

        /// <summary>[C, r].</summary>
        public SafetensorsEntry? B { get; init; }

        /// <summary>[C]; with DoRA only.</summary>
        public SafetensorsEntry? Magnitude { get; init; }

        /// <summary>Factor of B·A.</summary>
        public double Scale { get; init; }

        /// <summary>Tensor that takes the weight's place.</summary>
        public SafetensorsEntry? Whole { get; init; }
    }
}

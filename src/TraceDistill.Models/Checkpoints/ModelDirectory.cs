using TraceDistill.Data.Prompts;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Models.Safetensors;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Models.Checkpoints;

/// <summary>
/// A model directory in Hugging Face layout: config.json and <see cref="WeightFiles"/> (the tokenizer's files are Core's).
/// </summary>
public static class ModelDirectory
{
    /// <summary>As transformers has it.</summary>
    internal const long ShardBytes = 5_000_000_000;

    const string OutputProjection = "lm_head.weight";

    /// <summary>Files of the tokenizer, copied along when a student keeps its teacher's vocabulary.</summary>
    public static readonly IReadOnlyList<string> TokenizerFiles =
    [
        Tokenizer.FileName,
        Tokenizer.SettingsFileName,
        "special_tokens_map.json",
        "chat_template.jinja",
        GenerationConfig.FileName,
    ];

    /// <summary>Everything a model directory with one file of weights may hold.</summary>
    public static IReadOnlyList<string> Files { get; } =
    [ModelConfiguration.FileName, WeightFiles.Single, TaskDescription.FileName, .. TokenizerFiles];

    /// <summary>Returns whether a folder has the weights of a model.</summary>
    public static bool Exists(string directory) => WeightFiles.Exist(directory);

    /// <summary>Loads the configuration and float32 weights of a model directory.</summary>
    /// <exception cref="InvalidInputException">A file, tensor or shape is missing or wrong; all wrong tensors are named.</exception>
    public static ModelParameters Load(string directory) => Load(Open(directory));

    /// <summary>As <see cref="Load(string)"/>, of a model that may be a classifier.</summary>
    public static ModelParameters LoadAny(string directory) => Load(OpenAny(directory));

    static ModelParameters Load((ModelConfiguration Configuration, WeightFiles Weights) model)
    {
        var (configuration, weights) = model;
        using var opened = weights;
        var parameters = new ModelParameters(configuration);
        try
        {
            foreach (var name in parameters.Names)
            {
                weights.Read(name, parameters.Values(name));
            }

            return parameters;
        }
        catch
        {
            parameters.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Opens the weights of a model directory, all that its configuration wants in the right shapes, without reading them.
    /// </summary>
    /// <exception cref="InvalidInputException">
    /// A file, tensor or shape is missing or wrong; all wrong tensors are named. Or it is a classifier's.
    /// </exception>
    public static (ModelConfiguration Configuration, WeightFiles Weights) Open(string directory)
    {
        var opened = OpenAny(directory);
        if (opened.Configuration.Head is null)
        {
            return opened;
        }

        opened.Weights.Dispose();
        throw new InvalidInputException(
            $"{directory}: is a classifier ({opened.Configuration.Architecture}), and a model that writes text is needed here"
        );
    }

    /// <summary>As <see cref="Open"/>, of a model that may be a classifier.</summary>
    public static (ModelConfiguration Configuration, WeightFiles Weights) OpenAny(string directory)
    {
        var configuration = ModelConfiguration.Load(directory);
        var weights = WeightFiles.Open(directory);
        try
        {
            configuration = Untie(configuration, weights);
            CheckNames(weights, ModelParameters.Shapes(configuration).ToDictionary());
            return (configuration, weights);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>
    /// A checkpoint whose configuration ties the output projection to the embedding and which has
    /// one of its own all the same, as older merges of PEFT left them, means the one that it has.
    /// </summary>
    static ModelConfiguration Untie(ModelConfiguration configuration, WeightFiles weights)
    {
        const string Embedding = "model.embed_tokens.weight";
        var hasBoth = weights.Find(OutputProjection) is not null && weights.Find(Embedding) is not null;
        return !configuration.TieWordEmbeddings || !hasBoth || weights.AreEqual(Embedding, OutputProjection)
            ? configuration
            : configuration with
            {
                TieWordEmbeddings = false,
                Remark =
                    $"{weights.Path}: {OutputProjection} is not the embedding, "
                    + "though tie_word_embeddings is true; taken as a matrix of its own",
            };
    }

    /// <summary>Loads a model that nothing will change: matrices stay in 16 bits where the files have all of them so.</summary>
    /// <exception cref="InvalidInputException">A file, tensor or shape is missing or wrong; all wrong tensors are named.</exception>
    public static IDecoderWeights LoadFrozen(string directory)
    {
        var (configuration, weights) = Open(directory);
        using (weights)
        {
            TensorDtype[] dtypes =
            [
                .. ModelParameters
                    .Shapes(configuration)
                    .Where(weight => weight.Shape.IsMatrix())
                    .Select(weight => weights.Find(weight.Name)!.Dtype)
                    .Distinct(),
            ];
            return dtypes is [not TensorDtype.Float32 and var dtype]
                ? new FrozenParameters(configuration, weights, dtype)
                : Load(directory);
        }
    }

    /// <summary>Writes config.json and, last, the weights.</summary>
    /// <param name="directory">Made where needed.</param>
    /// <param name="parameters">The model.</param>
    /// <param name="dtype">How weights are stored; null: as they came.</param>
    /// <param name="shardBytes">Weights that take more are written as several files with an index.</param>
    /// <param name="adapter">Merged into what is written; <paramref name="parameters"/> stay as they are.</param>
    /// <param name="blocks">
    /// The file that the model is trained for: matrices are written as it has them, in float32, and config.json says so; null for none.
    /// </param>
    /// <param name="exits">Layers that were taught to be exits, for config.json; null: as the configuration has them.</param>
    public static void Save(
        string directory,
        IDecoderWeights parameters,
        TensorDtype? dtype = null,
        long shardBytes = ShardBytes,
        PeftAdapter? adapter = null,
        BlockPlan? blocks = null,
        IReadOnlyList<int>? exits = null
    )
    {
        Directory.CreateDirectory(directory);
        dtype = blocks is null ? dtype : TensorDtype.Float32;
        var configuration = parameters.Configuration with
        {
            QuantizationAware = blocks?.Type ?? QuantizationAware.None,
            EarlyExitLayers = exits ?? parameters.Configuration.EarlyExitLayers,
        };
        configuration.Save(directory, dtype ?? parameters.Dtype);
        (string Name, long[] Shape)[] tensors = [.. parameters.Names.Select(name => (name, parameters.ShapeOf(name)))];
        var copy = Array.Empty<float>();
        WeightFiles.Write(directory, name => dtype ?? parameters.DtypeOf(name), tensors, Values, shardBytes);

        ReadOnlySpan<float> Values(string name)
        {
            if (parameters is ModelParameters { Flat.TakesKernels: true } plain && adapter is null && blocks is null)
            {
                return plain.Values(name);
            }

            var count = parameters.ShapeOf(name).SpanCount(name);
            if (copy.Length < count)
            {
                copy = new float[count];
            }

            parameters.Read(name, 0, copy.AsSpan(0, count));
            adapter?.Merge(name, copy.AsMemory(0, count));
            blocks?.Round(name, copy.AsSpan(0, count), parameters.ShapeOf(name));
            return copy.AsSpan(0, count);
        }
    }

    /// <summary>Loads the tokenizer, and looks whether it is the model's and its chat template, where there is one, a template.</summary>
    /// <exception cref="InvalidInputException">A file is missing, malformed or of another model.</exception>
    public static Tokenizer LoadTokenizer(string directory)
    {
        var tokenizer = Tokenizer.Load(directory);
        CheckTokenizer(directory, ModelConfiguration.Load(directory), tokenizer.VocabularySize, tokenizer.ChatTemplateSource is not null);
        return tokenizer;
    }

    /// <summary>As <see cref="LoadTokenizer"/>, of a tokenizer that is loaded.</summary>
    internal static void CheckTokenizer(string directory, ModelConfiguration configuration, int tokens, bool hasTemplate)
    {
        if (tokens > configuration.VocabSize)
        {
            throw new InvalidInputException(
                $"{Path.Combine(directory, Tokenizer.FileName)}: has {tokens} tokens, and config.json a vocab_size "
                    + $"of {configuration.VocabSize}: they are not of one model; take both from the same checkpoint"
            );
        }

        if (hasTemplate)
        {
            _ = ChatTemplate.Load(directory);
        }
    }

    /// <summary>Copies the tokenizer's files that <paramref name="source"/> has.</summary>
    public static void CopyTokenizer(string source, string destination)
    {
        Directory.CreateDirectory(destination);
        foreach (var name in TokenizerFiles.Where(name => File.Exists(Path.Combine(source, name))))
        {
            // Processes that collect partitions of one data set come here at the same time, perhaps from several machines.
            var writer = $".{Environment.MachineName}-{Environment.ProcessId}";
            AtomicFile.Write(
                Path.Combine(destination, name),
                stream => stream.Write(File.ReadAllBytes(Path.Combine(source, name))),
                writer
            );
        }
    }

    static void CheckNames(WeightFiles weights, Dictionary<string, long[]> wanted)
    {
        var problems = wanted
            .Keys.Where(name => weights.Find(name) is null)
            .Select(name => $"{name} is missing")
            .Concat(
                wanted
                    .Where(tensor => weights.Find(tensor.Key) is { } entry && !entry.Shape.SequenceEqual(tensor.Value))
                    .Select(tensor =>
                        $"{tensor.Key} has shape [{string.Join(", ", weights.Find(tensor.Key)!.Shape)}], "
                        + $"config.json wants [{string.Join(", ", tensor.Value)}]"
                    )
            )
            .Concat(
                weights
                    .Names.Where(name => !wanted.ContainsKey(name) && !IsHarmless(name))
                    .Select(name => $"{name} is not part of the model")
            )
            .ToList();
        if (problems.Count > 0)
        {
            var shown = string.Join("; ", problems.Take(5));
            throw new InvalidInputException($"{weights.Path}: {shown}{(problems.Count > 5 ? $"; and {problems.Count - 5} more" : "")}");
        }
    }

    /// <summary>Some checkpoints repeat a tied projection or carry rotary tables; neither says anything new.</summary>
    static bool IsHarmless(string name) => name == OutputProjection || name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);
}

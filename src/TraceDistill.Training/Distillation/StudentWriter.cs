using TraceDistill.Data.Prompts;
using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Files;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Distillation;

/// <summary>Writes a student and its peers as model directories, at the beginning, at checkpoints and at the end.</summary>
/// <param name="trained">The student; adapters are merged into it, and written beside it.</param>
/// <param name="source">The folder that its tokenizer is from.</param>
/// <param name="tokenizer">Of that folder.</param>
/// <param name="chat">How it is asked.</param>
/// <param name="task">What it is asked for; null where that is not known.</param>
sealed class StudentWriter(TrainedWeights trained, string source, Tokenizer tokenizer, ChatSequence chat, TaskDescription? task)
{
    /// <summary>The model directory that adapters are of.</summary>
    public required string Base { get; init; }

    /// <summary>True where it has taken the chat template of its teacher.</summary>
    public bool WritesTemplate { get; init; }

    /// <summary>The file that it is trained for; null for none.</summary>
    public BlockPlan? Blocks { get; init; }

    /// <summary>
    /// Layers that it learns as exits. Those that it was taught before, and is not taught now, no longer follow the last layer.
    /// </summary>
    public IReadOnlyList<int> Exits { get; init; } = [];

    /// <summary>Writes the student before the first step.</summary>
    public void WriteInitial(string folder) => Write(folder, trained.Model);

    /// <summary>Writes the student as it is now.</summary>
    public void WriteModel(string folder)
    {
        if (trained.Adapter is not { } adapter)
        {
            Write(folder, trained.Model, blocks: Blocks, exits: Exits);
            return;
        }

        var adapters = Path.Combine(folder, AdapterFiles.Folder);
        WriteTokenizer(adapters);
        AdapterFiles.Save(adapters, adapter, Base);
        using var merged = PeftAdapter.Open(adapters, ModelParameters.Shapes(trained.Model.Configuration));
        Write(folder, trained.Model, merged, Blocks, Exits);
    }

    /// <summary>Writes a student that learned in step with it.</summary>
    public void WritePeer(string folder, ModelParameters peer) => Write(folder, peer, exits: []);

    void Write(
        string folder,
        IDecoderWeights weights,
        PeftAdapter? merged = null,
        BlockPlan? blocks = null,
        IReadOnlyList<int>? exits = null
    )
    {
        WriteTokenizer(folder);
        task?.Save(folder);
        // Weights of 16 bits have no room for small changes: rounding would take a good part of them.
        var dtype = merged is null ? (TensorDtype?)null : TensorDtype.Float32;
        ModelDirectory.Save(folder, weights, dtype, adapter: merged, blocks: blocks, exits: exits);
    }

    void WriteTokenizer(string folder)
    {
        ModelDirectory.CopyTokenizer(source, folder);
        if (WritesTemplate)
        {
            AtomicFile.WriteAllText(Path.Combine(folder, ChatTemplate.FileName), chat.TemplateSource);
        }

        if (!chat.IsEndKnown)
        {
            GenerationConfig.AddEnd(folder, chat.EndOfSequence, tokenizer.EndOfSequenceIds);
        }
    }
}

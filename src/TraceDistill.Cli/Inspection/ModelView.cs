using System.Globalization;
using TraceDistill.Data.Contracts;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Inspection;

/// <summary>A model directory in figures.</summary>
sealed record ModelView(string Path, long Parameters, ModelConfiguration Configuration, int VocabularySize, string TokenizerHash)
{
    /// <summary>Labels that are named.</summary>
    const int MostLabels = 20;

    /// <summary>Returns whether a folder is one.</summary>
    public static bool IsModel(string folder) => File.Exists(System.IO.Path.Combine(folder, ModelConfiguration.FileName));

    /// <exception cref="InvalidInputException">
    /// A file is missing or damaged, or a tensor has another shape than the configuration says.
    /// </exception>
    public static ModelView Of(string folder)
    {
        var (configuration, weights) = ModelDirectory.OpenAny(folder);
        weights.Dispose();
        var tokenizer = ModelDirectory.LoadTokenizer(folder);
        return new ModelView(folder, ModelParameters.CountOf(configuration), configuration, tokenizer.VocabularySize, tokenizer.Hash);
    }

    public void Print(IRunObserver observer)
    {
        var shape = Configuration;
        observer.Message(
            string.Create(CultureInfo.InvariantCulture, $"{Path}: a {Configuration.Traits.ModelType} model of {Parameters:#,0} parameters")
        );
        observer.Message(
            $"{shape.NumHiddenLayers} {(shape.NumHiddenLayers == 1 ? "layer" : "layers")} of {shape.HiddenSize}, "
                + $"{shape.MixerText}, feed-forward {shape.IntermediateSize}, at most {shape.MaxPositionEmbeddings} positions"
                + shape.PictureText
        );
        if (shape.Head is { } head)
        {
            observer.Message(
                $"a classifier of {(head.Kind == LabelKind.Sequence ? "texts" : "tokens")} by {head.Labels.Count} labels: "
                    + string.Join(", ", head.Labels.Take(MostLabels))
                    + (head.Labels.Count > MostLabels ? ", …" : "")
            );
        }

        if (shape.Remark is { } remark)
        {
            observer.Message(remark);
        }

        observer.Message($"tokenizer of {VocabularySize} tokens, {TokenizerHash}");
    }
}

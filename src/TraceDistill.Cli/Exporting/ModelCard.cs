using System.Globalization;
using System.Text;
using System.Text.Json;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Data.Files;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Exporting;

/// <summary>
/// The <c>README.md</c> of an exported model: front matter that the Hub reads, then what it was made from, how, and how good it is.
/// </summary>
static class ModelCard
{
    public const string FileName = "README.md";

    /// <summary>By this line an earlier export is known.</summary>
    const string Tag = "- tracedistill";

    public static bool IsIn(string folder) =>
        Path.Combine(folder, FileName) is var path && File.Exists(path) && File.ReadLines(path).Take(40).Contains(Tag);

    public static void Write(string folder, string name, HuggingFaceSummary model, CardFacts facts)
    {
        var text = new StringBuilder();
        WriteFrontMatter(text, name, model, facts);
        WriteModel(text, name, folder, model, facts.Adapter);
        WriteData(text, facts);
        WriteMetrics(text, facts);
        WriteRecipe(text, facts);
        if (facts.Description is { } description)
        {
            text.Append("\n## From the model's own card\n\n").Append(description).Append('\n');
        }

        AtomicFile.WriteAllText(Path.Combine(folder, FileName), text.ToString().ReplaceLineEndings("\n"));
    }

    static void WriteFrontMatter(StringBuilder text, string name, HuggingFaceSummary exported, CardFacts facts)
    {
        text.Append("---\n");
        Line("license", facts.License);
        text.Append(exported.Differences.Count == 0 ? "library_name: transformers\n" : "")
            .Append("pipeline_tag: text-generation\ntags:\n")
            .Append(Tag)
            .Append("\n- reasoning\n");
        if (facts.Traces.Count > 0)
        {
            text.Append("- distillation\n");
        }

        Line("base_model", facts.BaseModel);
        if (facts.Evaluations.Count > 0)
        {
            text.Append($"model-index:\n- name: {Quoted(name)}\n  results:\n");
        }

        foreach (var (evaluation, model) in facts.Evaluations)
        {
            var problems = Quoted(NameOf(evaluation));
            text.Append("  - task:\n      type: text-generation\n")
                .Append($"    dataset:\n      name: {problems}\n      type: {problems}\n");
            text.Append(
                CultureInfo.InvariantCulture,
                $"    metrics:\n    - type: accuracy\n      name: greedy pass@1\n      value: {evaluation.Result.Models[model].Accuracy}\n"
            );
        }

        text.Append("---\n\n");

        void Line(string key, string? value) => text.Append(value is null ? "" : $"{key}: {value}\n");
    }

    static void WriteModel(StringBuilder text, string name, string folder, HuggingFaceSummary model, string? adapter)
    {
        var shape = ModelConfiguration.Load(folder);
        text.Append(
            $"""
            # {OneLine(name)}

            A {shape.Family} decoder of {Show.Count(model.Parameters)} parameters ({shape.NumHiddenLayers} layers of {shape.HiddenSize}, {shape.MixerText},
            feed-forward {shape.IntermediateSize}, vocabulary {shape.VocabSize},
            at most {shape.MaxPositionEmbeddings} positions{shape.PictureText}), stored in {model.Dtype.TorchName()}{(
                adapter is null ? "" : $", with the adapter `{OneLine(adapter)}` merged in"
            )}.
            Exported with TraceDistill.

            """
        );
        if (shape.QuantizationAware != QuantizationAware.None)
        {
            text.Append(
                $"\nTrained for GGUF's {shape.QuantizationAware}: the weights lie on the blocks of that type, and a file of it has them "
                    + "as they are.\n"
            );
        }

        foreach (var difference in model.Differences)
        {
            text.Append($"\n{char.ToUpperInvariant(difference[0])}{difference[1..]}.\n");
        }
    }

    static void WriteData(StringBuilder text, CardFacts facts)
    {
        if (facts.Traces.Count == 0)
        {
            return;
        }

        text.Append(
            "\n## Data\n\nTrained on reasoning traces:\n\n| data set | traces | tokens | teacher | "
                + "soft targets | correct | incorrect |\n| --- | --- | --- | --- | --- | --- | --- |\n"
        );
        foreach (var traces in facts.Traces)
        {
            var targets = traces.TopK > 0 ? $"top {traces.TopK} log-probabilities" : "none";
            text.Append(
                $"| {OneLine(traces.Stage.Name)} | {Show.Count(traces.Count)} | {Show.Count(traces.Tokens)} | "
                    + $"{OneLine(traces.Teacher)} | {targets} | {Verdicts("correct")} | {Verdicts("incorrect")} |\n"
            );

            string Verdicts(string verdict) => Show.Count(traces.Lengths.Count(trace => trace.Verdict == verdict));
        }
    }

    static void WriteMetrics(StringBuilder text, CardFacts facts)
    {
        foreach (var (evaluation, name) in facts.Evaluations)
        {
            text.Append(
                $"\n## Metrics: {OneLine(evaluation.Stage.Name)}\n\nGreedy pass@1 "
                    + $"on `{OneLine(NameOf(evaluation))}`, with 95 % Wilson intervals:\n\n"
            );
            text.Append("| model | accuracy | 95 % interval | problems | tokens an answer |\n| --- | --- | --- | --- | --- |\n");
            foreach (var (model, scores) in evaluation.Result.Models)
            {
                var shown = model == name ? $"**{OneLine(model)}** (this model)" : OneLine(model);
                text.Append(
                    $"| {shown} | {Show.Percent(scores.Accuracy)} | "
                        + $"{Show.Percent(scores.AccuracyCi)} | {scores.N} | {scores.MeanTokens:0} |\n"
                );
            }

            var families = evaluation.Result.Models[name].Families;
            if (families.Count > 1)
            {
                text.Append("\n| family | accuracy | problems |\n| --- | --- | --- |\n");
            }

            foreach (var (family, scores) in families.Count > 1 ? families : families.Take(0))
            {
                text.Append($"| {OneLine(family)} | {Show.Percent(scores.Accuracy)} | {scores.N} |\n");
            }
        }
    }

    static void WriteRecipe(StringBuilder text, CardFacts facts)
    {
        if (facts.Training is { } training)
        {
            text.Append(
                $"\n## Recipe\n\nTrained by the stage `{training.Name}` ({training.Verb}) in "
                    + $"{Show.Duration(training.Seconds)}, TraceDistill {training.ProgramVersion}."
            );
        }

        if (facts.Recipe is { } recipe)
        {
            // A fence longer than any in the recipe.
            text.Append($" The whole run:\n\n~~~~yaml\n{recipe.Replace("~~~~", "~~~", StringComparison.Ordinal).TrimEnd()}\n~~~~\n");
        }
    }

    static string NameOf(EvaluationFacts evaluation) =>
        Path.IsPathRooted(evaluation.Result.Problems) ? Path.GetFileName(evaluation.Result.Problems) : evaluation.Result.Problems;

    // Names are someone else's text: keep them from ending a table's cell or a field.
    static string OneLine(string text) => text.ReplaceLineEndings(" ").Replace("|", "\\|", StringComparison.Ordinal);

    static string Quoted(string text) => JsonSerializer.Serialize(text, JsonFile.Line);
}

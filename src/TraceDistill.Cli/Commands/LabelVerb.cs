using System.Text.Json;
using TraceDistill.Cli.Labelling;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Data.Labels;
using TraceDistill.Data.Labels.Files;
using TraceDistill.Evaluation.Statistics;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Native;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Commands;

/// <summary>Labels texts with classifiers, and measures these where labels are known.</summary>
sealed class LabelVerb : Verb<LabelOptions>
{
    const int PrintedComparisons = 10,
        PrintedLabels = 20;

    public override string Name => "label";

    public override string Description => "Label texts with classifiers; where their labels are known, measure and compare the classifiers";

    public override VerbOutput Output => VerbOutput.Optional;

    public override bool RunsBesideOthers(LabelOptions options) => true;

    public override long EstimateMemory(LabelOptions options) =>
        ProcessMemory
        + (4 * FileBytes(options.File))
        + (2 * options.All.Select(model => model.Value).Where(Directory.Exists).Select(Weights).DefaultIfEmpty(0).Max());

    public override bool WritesFile(LabelOptions options, string output) => output.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase);

    public override IReadOnlyCollection<string> OutputNames(LabelOptions options) =>
        [LabelResult.FileName, .. options.All.Select(model => FileOf(model.Key))];

    public override IAsyncEnumerable<Foreseen> ForeseeAsync(LabelOptions options, Foresight ahead, CancellationToken cancellationToken)
    {
        // Of those that are there by now.
        LabelKind? first = null;
        foreach (var (_, directory) in options.All.Where(model => ahead.IsThere(Path.Combine(model.Value, ModelConfiguration.FileName))))
        {
            if (ModelConfiguration.Load(directory).Head is not { } head)
            {
                return Certain(Labeller.NoClassifier(directory));
            }

            if ((first ??= head.Kind) != head.Kind)
            {
                return Certain(OfTwoKinds(directory));
            }
        }

        return AsyncEnumerable.Empty<Foreseen>();

        static IAsyncEnumerable<Foreseen> Certain(string problem) => new[] { new Foreseen(IsCertain: true, problem) }.ToAsyncEnumerable();
    }

    static string OfTwoKinds(string directory) => $"{directory}: of the classifiers some label texts and some tokens; measure them apart";

    public override async Task<object> RunAsync(LabelOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var isFile = context.Output is { } output && WritesFile(options, output);
        if (isFile && options.Models.Count > 1)
        {
            throw new InvalidInputException($"{context.Output}: of several models each has a file of its own; name a folder with --out");
        }

        // What is wrong with one of them is found before the first pass of another.
        var heads = options.All.Select(model => (Directory: model.Value, Head: Labeller.HeadOf(model.Value))).ToList();
        var kind = heads[0].Head.Kind;
        if (heads.Find(model => model.Head.Kind != kind) is { Directory: { } other })
        {
            throw new InvalidInputException(OfTwoKinds(other));
        }

        var texts = await LabelReader.ReadAsync(options.File, FieldsOf(options, kind), cancellationToken).ToListAsync(cancellationToken);
        if (TrueLabels.WhyNot(options.File, texts, heads) is var (reason, remedy))
        {
            // A field of that name may be anything: that it is the truth is said by naming it.
            if (options.Label is not null)
            {
                throw new InvalidInputException($"{reason}; {remedy}, or leave label out");
            }

            context.Observer.Message($"{reason}; the texts are labelled, and nothing is measured");
            texts = [.. texts.Select(text => text with { Label = null, Spans = null })];
        }

        EnsureReadable(options, texts);
        var labels = TrueLabels.Of(texts, heads);
        var (scores, right) = (new OrderedDictionary<string, ClassifierScores>(), new List<(string Name, bool[] IsRight)>());
        foreach (var ((name, directory), own) in options.All.Zip(labels))
        {
            using var labeller = new Labeller(directory, options.MaxLength);
            var labelled = await Task.Run(
                () =>
                    labeller.Label(
                        texts,
                        own,
                        options.Device.Resolve(),
                        options.MicroBatchTokens,
                        options.ResolveWorkers(),
                        cancellationToken
                    ),
                cancellationToken
            );
            if (context.Output is { } target)
            {
                Write(isFile ? target : Path.Combine(target, FileOf(name)), labelled);
            }

            if (labelled.Any(text => text.IsKnown))
            {
                scores[name] = labeller.Score(labelled);
                right.Add((name, [.. labelled.Where(text => text.IsKnown).Select(text => text.IsRight)]));
            }
        }

        var result = new LabelResult
        {
            File = context.NameOf(options.File),
            Texts = texts.Count,
            Labelled = texts.Count(text => text.Label is not null || text.Spans is not null),
            Models = scores,
            Comparisons = right.Count > LabelResult.MostCompared ? [] : [.. Compare(right)],
        };
        if (context.Output is not null && !isFile)
        {
            result.Write(context.Output);
        }

        Print(result, context.Observer);
        return result;
    }

    /// <summary>A text may be too long for some of the models alone.</summary>
    /// <exception cref="InvalidInputException">It is, and is not to be cut.</exception>
    static void EnsureReadable(LabelOptions options, IReadOnlyList<LabelledText> texts)
    {
        foreach (var directory in options.MaxLength is null && options.Models.Count > 1 ? options.Models.Values : [])
        {
            var encoder = Labeller.EncoderOf(directory, maxLength: null);
            foreach (var text in texts)
            {
                encoder.Encode(text);
            }
        }
    }

    static IEnumerable<LabelComparison> Compare(List<(string Name, bool[] IsRight)> models) =>
        from first in Enumerable.Range(0, models.Count)
        from second in Enumerable.Range(first + 1, models.Count - first - 1)
        let pairs = models[first].IsRight.Zip(models[second].IsRight).ToList()
        let onlyFirst = pairs.Count(pair => pair.First && !pair.Second)
        let onlySecond = pairs.Count(pair => pair.Second && !pair.First)
        select new LabelComparison(
            models[first].Name,
            models[second].Name,
            onlyFirst,
            onlySecond,
            (double)(onlyFirst - onlySecond) / pairs.Count,
            McNemar.ExactPValue(onlyFirst, onlySecond)
        );

    /// <summary>One line a text: its label and all labels' probabilities, or its spans.</summary>
    static void Write(string path, IReadOnlyList<LabelledByModel> texts) => AtomicFile.Write(path, stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
            foreach (var text in texts)
            {
                writer.WriteLine(JsonSerializer.Serialize(LineOf(text), JsonFile.Line));
            }
        });

    static Dictionary<string, object?> LineOf(LabelledByModel text)
    {
        var line = new Dictionary<string, object?>();
        if (text.Source.Id is { } id)
        {
            line["id"] = id;
        }

        line["text"] = text.Source.Text;
        if (text.Head.Kind == LabelKind.Token)
        {
            line["spans"] = text.Spans()
                .Select(span => new
                {
                    span.Span.Start,
                    span.Span.End,
                    span.Span.Label,
                    Probability = Math.Round(span.Probability, 6),
                });
            return line;
        }

        var probabilities = text.Probabilities(0).ToList();
        line["label"] = probabilities[0].Key;
        line["probabilities"] = new OrderedDictionary<string, double>(
            probabilities.Select(label => KeyValuePair.Create(label.Key, Math.Round(label.Value, 6)))
        );
        return line;
    }

    static void Print(LabelResult result, IRunObserver observer)
    {
        observer.Message($"{Counted.Of(result.Texts, "text")} labelled; labels of {Show.Count(result.Labelled)} are known");
        foreach (var (name, scores) in result.Models)
        {
            var tokens = scores.SpanF1 is { } spans
                ? $" with every token right; tokens {Show.Percent(scores.Items.Accuracy)}, spans F1 {spans:0.000}"
                : " right";
            observer.Message(
                $"{name}: {Show.Percent(scores.Accuracy)} of {result.Labelled} texts (95% interval "
                    + $"{Show.Percent(scores.AccuracyCi)}){tokens}, macro F1 {scores.Items.MacroF1:0.000}, ECE {scores.Items.Ece:0.000}"
            );
            if (scores.Unknown.Count > 0)
            {
                observer.Message(
                    $"{name}: does not know {Counted.Of(scores.Unknown.Count, "label")} of the file, which count as wrong: "
                        + string.Join(", ", scores.Unknown.Take(PrintedLabels))
                        + (scores.Unknown.Count > PrintedLabels ? $" and {scores.Unknown.Count - PrintedLabels} more" : "")
                );
            }

            if (scores.Cut > 0)
            {
                var unread = scores.Unread > 0 ? $"; {Counted.Of(scores.Unread, "labelled span")} behind that count as missed" : "";
                observer.Message($"{name}: {Counted.Of(scores.Cut, "text")} cut to max_length{unread}");
            }
        }

        foreach (var pair in result.Comparisons.Count <= PrintedComparisons ? result.Comparisons : [])
        {
            observer.Message(
                $"{pair.First} − {pair.Second}: {Show.Points(pair.Difference)} points, {Show.PEquals(pair.PValue)} for these weights"
            );
        }
    }

    static LabelFields FieldsOf(LabelOptions options, LabelKind kind) =>
        new()
        {
            Text = options.Text,
            Label = kind == LabelKind.Sequence ? options.Label ?? "label" : null,
            Spans = kind == LabelKind.Token ? options.Label ?? "spans" : null,
            MayBeUnlabelled = options.Label is null,
        };

    static string FileOf(string model) => model + ".jsonl";

    static long Weights(string directory) => Directory.GetFiles(directory, "*.safetensors").Sum(FileBytes);
}

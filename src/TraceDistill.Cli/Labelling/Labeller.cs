using TraceDistill.Data.Labels;
using TraceDistill.Data.Statistics;
using TraceDistill.Evaluation.Statistics;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Training;
using TraceDistill.Training.Classification;

namespace TraceDistill.Cli.Labelling;

/// <summary>One classifier and the texts as it labels them.</summary>
sealed class Labeller : IDisposable
{
    readonly ModelParameters _model;
    readonly LabelEncoder _encoder;

    /// <param name="directory">The model directory.</param>
    /// <param name="maxLength">Tokens that longer texts are cut to; null where such a text is an error.</param>
    /// <exception cref="InvalidInputException">It is no classifier.</exception>
    public Labeller(string directory, int? maxLength)
    {
        Head = ModelConfiguration.Load(directory).Head ?? throw new InvalidInputException(NoClassifier(directory));
        _model = ModelDirectory.LoadAny(directory);
        _encoder = new LabelEncoder(
            ModelDirectory.LoadTokenizer(directory),
            Head.Kind,
            _model.Configuration.MaxPositionEmbeddings,
            maxLength
        );
    }

    /// <summary>Says that a model directory holds none.</summary>
    public static string NoClassifier(string directory) =>
        $"{directory}: is a model that writes text, and no classifier; classify makes one of it";

    public ClassificationHead Head { get; }

    public long Parameters => _model.Count;

    /// <summary>Labels texts.</summary>
    /// <param name="device">Where the model runs.</param>
    /// <param name="tokens">Most tokens of one forward pass.</param>
    /// <param name="workers">Threads.</param>
    public IReadOnlyList<LabelledByModel> Label(
        IReadOnlyList<LabelledText> texts,
        TorchSharp.torch.Device device,
        int tokens,
        int workers,
        CancellationToken cancellationToken
    )
    {
        var encoded = texts.Select(_encoder.Encode).ToList();
        _model.MoveTo(device);
        var predicted = LabelPredictions.Of(_model, [.. encoded.Select(text => text.Unlabelled())], tokens, workers, cancellationToken);
        string[] others = [.. UnknownOf(texts, encoded)];
        return [.. texts.Zip(encoded, predicted).Select(text => new LabelledByModel(text.First, text.Second, text.Third, Head, others))];
    }

    /// <summary>True labels that the classifier does not have.</summary>
    IEnumerable<string> UnknownOf(IReadOnlyList<LabelledText> texts, IReadOnlyList<EncodedText> encoded)
    {
        var ids = new LabelIds(Head.Labels);
        return texts.Zip(encoded).SelectMany(text => LabelsOf(text.First, text.Second)).Distinct().Where(label => ids.Of(label) is null);

        static IEnumerable<string> LabelsOf(LabelledText text, EncodedText encoded) =>
            text.Label?.Keys ?? (text.Spans is { } spans ? LabelEncoder.LabelsOf(encoded.Offsets, spans) : []);
    }

    /// <summary>Compares with the labels that are known.</summary>
    public ClassifierScores Score(IReadOnlyList<LabelledByModel> texts)
    {
        var known = texts.Where(text => text.IsKnown).ToList();
        var correct = known.Count(text => text.IsRight);
        return new ClassifierScores(
            Head.Kind,
            Parameters,
            correct,
            (double)correct / known.Count,
            WilsonInterval.Of(correct, known.Count),
            LabelScores.Of([.. Head.Labels, .. known[0].Others], known.SelectMany(text => text.Items())),
            Head.Kind == LabelKind.Token ? SpanF1(known) : null
        )
        {
            Unknown = known[0].Others,
            Cut = texts.Count(text => text.Encoded.IsCut),
            Unread = known.Sum(text => text.Unread),
        };
    }

    public void Dispose() => _model.Dispose();

    /// <summary>
    /// Of the spans of the file, as entity recognition is measured (CoNLL-2003): one that no cut between tokens can tell, or that lies
    /// behind what the classifier reads, is missed.
    /// </summary>
    internal static double SpanF1(IReadOnlyList<LabelledByModel> texts)
    {
        var (hits, all) = (0, 0);
        foreach (var text in texts)
        {
            var truth = text.Source.Spans!.ToHashSet();
            var told = text.Spans().Select(span => span.Span).ToList();
            (hits, all) = (hits + told.Count(truth.Contains), all + truth.Count + told.Count);
        }

        return all == 0 ? double.NaN : 2.0 * hits / all;
    }
}

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
        Head = HeadOf(directory);
        _model = ModelDirectory.LoadAny(directory);
        _encoder = EncoderOf(directory, maxLength);
    }

    /// <summary>Labels of a classifier, whose weights are not read.</summary>
    /// <exception cref="InvalidInputException">It is none.</exception>
    public static ClassificationHead HeadOf(string directory) =>
        ModelConfiguration.Load(directory).Head ?? throw new InvalidInputException(NoClassifier(directory));

    /// <summary>What reads texts for a classifier, whose weights are not read.</summary>
    /// <inheritdoc cref="Labeller(string, int?)"/>
    public static LabelEncoder EncoderOf(string directory, int? maxLength) =>
        new(
            ModelDirectory.LoadTokenizer(directory),
            HeadOf(directory).Kind,
            ModelConfiguration.Load(directory).MaxPositionEmbeddings,
            maxLength
        );

    /// <summary>Says that a model directory holds none.</summary>
    public static string NoClassifier(string directory) =>
        $"{directory}: is a model that writes text, and no classifier; classify makes one of it";

    public ClassificationHead Head { get; }

    public long Parameters => _model.Count;

    /// <summary>Labels texts.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="labels">Ids of what is known of their labels.</param>
    /// <param name="device">Where the model runs.</param>
    /// <param name="tokens">Most tokens of one forward pass.</param>
    /// <param name="workers">Threads.</param>
    public IReadOnlyList<LabelledByModel> Label(
        IReadOnlyList<LabelledText> texts,
        TrueLabels labels,
        TorchSharp.torch.Device device,
        int tokens,
        int workers,
        CancellationToken cancellationToken
    )
    {
        var encoded = texts.Select(_encoder.Encode).ToList();
        _model.MoveTo(device);
        var predicted = LabelPredictions.Of(_model, [.. encoded.Select(text => text.Unlabelled())], tokens, workers, cancellationToken);
        return [.. texts.Zip(encoded, predicted).Select(text => new LabelledByModel(text.First, text.Second, text.Third, Head, labels))];
    }

    /// <summary>Compares with the labels that are known.</summary>
    public ClassifierScores Score(IReadOnlyList<LabelledByModel> texts)
    {
        var known = texts.Where(text => text.IsKnown).ToList();
        var correct = known.Count(text => text.IsRight);
        var given = known.SelectMany(text => text.Given).ToHashSet();
        var items = LabelScores.Of([.. Head.Labels, .. known[0].Labels.Others], known.SelectMany(text => text.Items()));
        return new ClassifierScores(
            Head.Kind,
            Parameters,
            correct,
            (double)correct / known.Count,
            WilsonInterval.Of(correct, known.Count),
            items,
            Head.Kind == LabelKind.Token ? SpanF1(known) : null
        )
        {
            Unknown = [.. known[0].Labels.Others.Where((_, number) => given.Contains(Head.Labels.Count + number))],
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

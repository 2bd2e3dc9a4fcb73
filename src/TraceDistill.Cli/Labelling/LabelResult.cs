using TraceDistill.Data.Files;
using TraceDistill.Data.Statistics;
using TraceDistill.Evaluation.Statistics;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Cli.Labelling;

/// <summary>Findings of <c>label</c>: the content of <c>labels.json</c>.</summary>
sealed record LabelResult
{
    /// <summary>The file's name in the stage's folder.</summary>
    public const string FileName = "labels.json";

    /// <summary>Name of the file of texts.</summary>
    public required string File { get; init; }

    /// <summary>Number of texts.</summary>
    public required int Texts { get; init; }

    /// <summary>Those of them whose labels are known.</summary>
    public required int Labelled { get; init; }

    /// <summary>Figures by model, in the order given; empty where no label is known.</summary>
    public required IReadOnlyDictionary<string, ClassifierScores> Models { get; init; }

    /// <summary>Every pair of models, in the order given; none of more than <see cref="MostCompared"/> models.</summary>
    public required IReadOnlyList<LabelComparison> Comparisons { get; init; }

    /// <summary>With more models, pairs say nothing that a comparison over seeds does not say better.</summary>
    public const int MostCompared = 60;

    public void Write(string folder) => JsonFile.Write(Path.Combine(folder, FileName), this);
}

/// <summary>One classifier on labelled texts.</summary>
/// <param name="Kind">What it labels.</param>
/// <param name="Parameters">Number of weights.</param>
/// <param name="Correct">Texts that it labels right: of tokens, those whose every token is right.</param>
/// <param name="Accuracy">Share of the texts that are.</param>
/// <param name="AccuracyCi">Its 95 % Wilson interval.</param>
/// <param name="Items">Figures over items: texts, or tokens.</param>
/// <param name="SpanF1">2·TP / (2·TP + FP + FN) over spans, right in start, end and label; null where texts are labelled.</param>
sealed record ClassifierScores(
    LabelKind Kind,
    long Parameters,
    int Correct,
    double Accuracy,
    Interval AccuracyCi,
    LabelScores Items,
    double? SpanF1
)
{
    /// <summary>True labels of the file that the classifier does not have: texts and tokens that have them count as wrong.</summary>
    public IReadOnlyList<string> Unknown { get; init; } = [];

    /// <summary>Texts that were cut to max_length.</summary>
    public int Cut { get; init; }

    /// <summary>Labelled spans behind the cut, which are missed.</summary>
    public int Unread { get; init; }
}

/// <summary>Two classifiers on the same texts.</summary>
/// <param name="OnlyFirst">Texts that the first alone labels right.</param>
/// <param name="OnlySecond">Those that the second alone does.</param>
/// <param name="Difference">Of their shares of right texts, first minus second.</param>
/// <param name="PValue">Of the exact McNemar test, for these weights.</param>
sealed record LabelComparison(string First, string Second, int OnlyFirst, int OnlySecond, double Difference, double PValue);

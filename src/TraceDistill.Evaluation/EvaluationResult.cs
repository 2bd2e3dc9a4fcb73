using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Statistics;
using TraceDistill.Evaluation.Statistics;
using TraceDistill.Text.Errors;

namespace TraceDistill.Evaluation;

/// <summary>Everything an evaluation found: the content of <c>evaluation.json</c>. The same inputs give the same bytes.</summary>
public sealed record EvaluationResult
{
    /// <summary>The file's name in the stage's folder.</summary>
    public const string FileName = "evaluation.json";

    /// <summary>Name of the problems' file.</summary>
    public required string Problems { get; init; }

    /// <summary>Number of problems.</summary>
    public required int N { get; init; }

    /// <summary>Seed of samples and bootstrap.</summary>
    public required long Seed { get; init; }

    /// <summary>By name, in the order given.</summary>
    public required IReadOnlyDictionary<string, ModelScores> Models { get; init; }

    /// <summary>Every pair of models, in the order given; none of more than <see cref="Evaluator.MostCompared"/> models.</summary>
    public required IReadOnlyList<Comparison> Comparisons { get; init; }

    /// <exception cref="InvalidInputException">The file is not an evaluation's result.</exception>
    public static EvaluationResult Read(string path)
    {
        try
        {
            return JsonFile.Read<EvaluationResult>(path);
        }
        catch (JsonException exception)
        {
            throw new InvalidInputException(
                $"{path}, line {exception.LineNumber + 1}, {exception.Path}: not an evaluation's result; run the evaluation again",
                exception
            );
        }
    }

    /// <summary>Writes the file whole or not at all.</summary>
    public void Write(string path) => JsonFile.Write(path, this);
}

/// <summary>Scores of one model.</summary>
public sealed record ModelScores
{
    /// <summary>Greedy pass@1: share of the problems whose greedy answer is right.</summary>
    public required double Accuracy { get; init; }

    /// <summary>Its 95 % Wilson interval.</summary>
    public required Interval AccuracyCi { get; init; }

    public required int N { get; init; }

    /// <summary>Number of greedy answers that could not be compared with the expected ones; they count as wrong.</summary>
    public int Unverified { get; init; }

    public long? Parameters { get; init; }

    /// <summary>The model directory, stage or URL.</summary>
    public string? Source { get; init; }

    /// <summary>In which words it was asked; null in results of older versions.</summary>
    public string? Prompt { get; init; }

    /// <summary>The prompts that it was trained on, where that is something else.</summary>
    public string? TrainedOn { get; init; }

    /// <summary>Longest answer in tokens; null in results of older versions.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Mean length of the greedy answers in tokens.</summary>
    public required double MeanTokens { get; init; }

    /// <summary>Share of the greedy answers that <c>max_tokens</c> cut off, or whose reasoning never ended.</summary>
    public required double TruncatedShare { get; init; }

    /// <summary>Greedy accuracy of each family, by name.</summary>
    public required IReadOnlyDictionary<string, FamilyScores> Families { get; init; }

    /// <summary>Scores of the samples; null where no samples were drawn.</summary>
    public SampledScores? Sampled { get; init; }

    /// <summary>
    /// Calibration of answers: whether the model knows when its answer is right; confidence is the share of samples that agree with the
    /// most frequent answer, which is
    /// the one judged. Null where no problem has several samples.
    /// </summary>
    public ReliabilityCurve? AnswerCalibration { get; init; }

    /// <summary>Against the teacher's distributions; null where they were not compared.</summary>
    public DistributionScores? Distribution { get; init; }
}

/// <summary>Greedy accuracy over one family.</summary>
public sealed record FamilyScores(double Accuracy, Interval AccuracyCi, int N);

/// <summary>Scores of K samples a problem.</summary>
/// <param name="N">Problems sampled.</param>
/// <param name="Samples">Samples K of each.</param>
/// <param name="Temperature">At which they were drawn.</param>
/// <param name="PassAt">k → mean unbiased pass@k, for k = 1, 2, 4, … and K.</param>
/// <param name="MajAt">k → mean maj@k, for the same k.</param>
public sealed record SampledScores(
    int N,
    int Samples,
    double Temperature,
    IReadOnlyDictionary<int, double> PassAt,
    IReadOnlyDictionary<int, double> MajAt
);

/// <summary>Two models on the same problems.</summary>
/// <param name="First">The first model's name.</param>
/// <param name="Second">The second model's name.</param>
/// <param name="Difference">Accuracy of the first minus that of the second.</param>
/// <param name="DifferenceCi">Its 95 % paired bootstrap interval.</param>
/// <param name="OnlyFirst">Problems that only the first solved.</param>
/// <param name="OnlySecond">Problems that only the second solved.</param>
/// <param name="PValue">Exact McNemar test.</param>
/// <param name="N">Problems compared.</param>
public sealed record Comparison(
    string First,
    string Second,
    double Difference,
    Interval DifferenceCi,
    int OnlyFirst,
    int OnlySecond,
    double PValue,
    int N
);

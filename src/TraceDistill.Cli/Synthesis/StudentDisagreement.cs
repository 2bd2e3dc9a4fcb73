using TraceDistill.Cli.Evaluation;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Files;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Native;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distillation;

namespace TraceDistill.Cli.Synthesis;

/// <summary>How far a student is from its teacher at each of some problems that the teacher answered.</summary>
/// <param name="options">Name the student and the measure.</param>
/// <param name="context">Where it runs.</param>
sealed class StudentDisagreement(SynthesizeOptions options, StageContext context)
{
    const string Student = "student";

    /// <param name="problems">With the answers that count as right.</param>
    /// <param name="collection">Folder of the teacher's traces.</param>
    /// <param name="isRight">Returns whether a trace of the collection counts.</param>
    /// <param name="folder">Where the student's answers are kept.</param>
    /// <returns>By problem; one that cannot be compared is left out.</returns>
    /// <exception cref="InvalidInputException">The measure is none for this student and teacher.</exception>
    public Task<IReadOnlyDictionary<string, double>> MeasureAsync(
        IReadOnlyList<Problem> problems,
        string collection,
        Predicate<Trace> isRight,
        string folder,
        CancellationToken cancellationToken
    ) =>
        problems.Count == 0 ? Task.FromResult<IReadOnlyDictionary<string, double>>(new Dictionary<string, double>())
        : options.Disagreement == DisagreementMeasure.Kl ? DivergenceAsync(collection, isRight, cancellationToken)
        : AnswersAsync(problems, folder, cancellationToken);

    /// <summary>Why this student cannot be compared with the teacher token by token; null where it can.</summary>
    /// <param name="options">Name both.</param>
    /// <param name="isTeacherThere">False where the teacher's tokenizer is still to be made, and so nothing is known of it.</param>
    public static string? WhyNoKl(SynthesizeOptions options, bool isTeacherThere) =>
        ModelConfiguration.Load(options.Student).Pictures is not null
            ? $"student: {options.Student} looks at pictures, and kl is of texts that it reads; take a student that reads, or "
                + "disagreement: answer"
        : isTeacherThere
        && (options.Tokenizer ?? options.Serve)! is var teacher
        && !ModelDirectory.LoadTokenizer(options.Student).Extends(Tokenizer.Load(teacher))
            ? $"student: {options.Student} has another tokenizer than {teacher}, and kl compares them token by token; take disagreement: "
                + "answer"
        : null;

    async Task<IReadOnlyDictionary<string, double>> DivergenceAsync(
        string collection,
        Predicate<Trace> isRight,
        CancellationToken cancellationToken
    )
    {
        var reader = await ShardReader.OpenAsync(collection, cancellationToken: cancellationToken);
        var (tokenizer, template) = (
            ModelDirectory.LoadTokenizer(options.Student),
            ChatTemplate.Load(options.Student, context.TimeProvider)
        );
        var teacher = Tokenizer.Load((options.Tokenizer ?? options.Serve)!);
        var aligner = new TokenAligner(tokenizer, new ChatSequence(tokenizer, template), reader.Dataset, collection, topK: null, teacher);
        using var parameters = ModelDirectory.LoadFrozen(options.Student);
        parameters.MoveTo(options.Device.Resolve());
        using var scorer = new TraceScorer(parameters, trace => aligner.Align(trace, addsEnd: false));
        var sums = new Dictionary<string, (double Divergence, long Tokens)>();
        var (done, compared) = (0L, new List<Trace>(1));
        await foreach (var trace in reader.ReadAsync(cancellationToken))
        {
            context.Observer.Progress("compare", ++done, reader.Rows, "traces");
            if (!isRight(trace))
            {
                continue;
            }

            compared.Clear();
            compared.Add(trace);
            foreach (var scores in scorer.Score(compared, cancellationToken))
            {
                var (divergence, tokens) = sums.GetValueOrDefault(trace.ProblemId);
                sums[trace.ProblemId] = (divergence + scores.Sum(score => score.Kl), tokens + scores.Length);
            }
        }

        return sums.Where(sum => sum.Value.Tokens > 0).ToDictionary(sum => sum.Key, sum => sum.Value.Divergence / sum.Value.Tokens);
    }

    async Task<IReadOnlyDictionary<string, double>> AnswersAsync(
        IReadOnlyList<Problem> problems,
        string folder,
        CancellationToken cancellationToken
    )
    {
        var evaluation = new EvaluateOptions
        {
            Problems = folder,
            Models = new Dictionary<string, ModelSource> { [Student] = ModelSource.Parse(options.Student, null) },
            MaxTokens = options.MaxTokens,
            Device = options.Device,
        };
        Directory.CreateDirectory(folder);
        var evaluator = new Evaluator(evaluation, MathVerifier.Instance, folder, context.Observer, context.TimeProvider);
        var models = new EvaluatedModels(evaluation, problems, traces: null, context);
        await evaluator.EvaluateAsync(models.LoadAsync(cancellationToken), problems, traces: null, cancellationToken);
        return File.ReadLines(Path.Combine(folder, $"{Student}.jsonl"))
            .Select(line => JsonFile.Parse<EvaluationRecord>(System.Text.Encoding.UTF8.GetBytes(line)))
            .ToDictionary(record => record.ProblemId, record => record.Correct ? 0.0 : 1);
    }
}

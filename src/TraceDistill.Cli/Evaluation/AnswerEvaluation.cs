using System.Security.Cryptography;
using System.Text;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Evaluation;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Training;

namespace TraceDistill.Cli.Evaluation;

/// <summary>Has a student answer problems while it is trained: what <c>evaluate</c> does, without its messages.</summary>
sealed class AnswerEvaluation : IAnswerEvaluation
{
    const string Student = "student";

    /// <summary>Digest of the model that answers; hidden, so that it is no part of the result.</summary>
    const string ModelFile = ".model";

    readonly EvaluateOptions _options;
    readonly IReadOnlyList<Problem> _problems;
    readonly StageContext _context;

    AnswerEvaluation(EvaluateOptions options, IReadOnlyList<Problem> problems, StageContext context) =>
        (_options, _problems, _context) = (options, problems, context with { Observer = new ProgressAlone(context.Observer) });

    /// <summary>Folder of the prompt for students whose traces do not say how their problems were put.</summary>
    public static string Prompt => PromptLibrary.Default.Load(ModelTasks.DefaultPrompt).Folder;

    /// <inheritdoc/>
    public byte[] Digest =>
        SHA256.HashData(
            Encoding.UTF8.GetBytes(
                ContentDigest.Combine(ContentDigest.Of(Prompt))
                    + string.Concat(
                        _problems.Select(problem =>
                            $"{problem.Id}\0{string.Join('\0', problem.Conversation().Select(turn => $"{turn.Role}\0{turn.Content}"))}"
                            + $"\0{problem.Answer}\n{DigestOf(problem.Picture)}"
                        )
                    )
            )
        );

    /// <inheritdoc/>
    public int Count => _problems.Count;

    /// <summary>Reads the problems of <see cref="TrainOptions.EvalProblems"/>.</summary>
    /// <returns>Null where a training has none.</returns>
    public static async Task<AnswerEvaluation?> ReadAsync(TrainOptions options, StageContext context, CancellationToken cancellationToken)
    {
        if (options.EvalProblems is not { } path)
        {
            return null;
        }

        // Worked solutions are learned from problems; these are only asked, and need none.
        var fields = new ProblemReaderOptions
        {
            ProblemField = options.ProblemField,
            AnswerField = options.AnswerField,
            Duplicates = options.Duplicates,
        };
        var problems = await EvaluatedProblems.ReadAsync(path, fields, options.EvalLimit, context.Observer, cancellationToken);
        var evaluate = new EvaluateOptions
        {
            Problems = path,
            MaxTokens = options.EvalMaxTokens,
            Device = options.Device,
        };
        return new AnswerEvaluation(evaluate, problems, context);
    }

    /// <inheritdoc/>
    public async Task EnsureFitAsync(string modelDirectory, CancellationToken cancellationToken)
    {
        var options = OptionsFor(modelDirectory);
        var tasks = new ModelTasks(options, options.Models.Values, ofTraces: null, _context.Observer);
        var asked = await tasks.ForAsync(Student, options.Models[Student], cancellationToken);
        var (tokenizer, template) = (ModelDirectory.LoadTokenizer(modelDirectory), ChatTemplate.Load(modelDirectory));
        var shape = ModelConfiguration.Load(modelDirectory);
        var positions = shape.MaxPositionEmbeddings;
        foreach (
            var (problem, length) in PromptFacts.Lengths(
                _problems,
                problem => asked.Render(problem, 0),
                tokenizer,
                template,
                shape.Pictures
            )
        )
        {
            if (length >= positions)
            {
                throw new InvalidInputException(
                    $"{options.Problems}: the prompt of problem {problem.Id} has {length:N0} tokens, and the student {positions:N0} "
                        + $"positions: max_position_embeddings: {length + asked.MaxTokens} in a student from scratch, or shorter problems"
                );
            }
        }
    }

    /// <inheritdoc/>
    public AnswerScores Score(string modelDirectory, string resultDirectory, CancellationToken cancellationToken)
    {
        Prepare(modelDirectory, resultDirectory);
        var options = OptionsFor(modelDirectory);
        var evaluator = new Evaluator(options, MathVerifier.Instance, resultDirectory, _context.Observer, _context.TimeProvider);
        var models = new EvaluatedModels(options, _problems, traces: null, _context);
        var scores = evaluator
            .EvaluateAsync(models.LoadAsync(cancellationToken), _problems, traces: null, cancellationToken)
            .GetAwaiter()
            .GetResult()
            .Models[Student];
        // What is left is the same whenever and wherever it was made.
        File.Delete(Path.Combine(resultDirectory, GenerationSpeed.FileName));
        return new AnswerScores((int)Math.Round(scores.Accuracy * scores.N), scores.N, scores.MeanTokens);
    }

    /// <summary>A picture that is missing is reported when it is asked for.</summary>
    static string DigestOf(string? picture) =>
        picture is not null && File.Exists(picture) ? Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(picture))) + "\n" : "";

    EvaluateOptions OptionsFor(string modelDirectory) =>
        _options with
        {
            Models = new Dictionary<string, ModelSource> { [Student] = ModelSource.Parse(modelDirectory, null) },
        };

    /// <summary>Clears away answers of other weights: a training that was killed need not come to the same bits again on a GPU.</summary>
    static void Prepare(string modelDirectory, string resultDirectory)
    {
        var (digest, file) = (ContentDigest.Combine(ContentDigest.Of(modelDirectory)), Path.Combine(resultDirectory, ModelFile));
        if (Directory.Exists(resultDirectory) && (!File.Exists(file) || File.ReadAllText(file) != digest))
        {
            Directory.Delete(resultDirectory, recursive: true);
        }

        Directory.CreateDirectory(resultDirectory);
        File.WriteAllText(file, digest);
    }

    /// <summary>Passes on how far an evaluation is; what it says about the model was said when the training began.</summary>
    sealed class ProgressAlone(IRunObserver observer) : IRunObserver
    {
        public void Progress(string activity, long done, long? total, string unit, string? note = null) =>
            observer.Progress(activity, done, total, unit, note);

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

        public void Message(string text) { }
    }
}

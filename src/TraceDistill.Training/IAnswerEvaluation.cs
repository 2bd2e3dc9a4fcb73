namespace TraceDistill.Training;

/// <summary>Problems that a model answers while it is trained; nothing is learned from them.</summary>
public interface IAnswerEvaluation
{
    /// <summary>Digest of the problems and of how they are put: a training that is judged by others is another one.</summary>
    byte[] Digest { get; }

    /// <summary>Number of the problems.</summary>
    int Count { get; }

    /// <summary>Looks, before anything is trained, whether every prompt leaves room for an answer.</summary>
    /// <param name="modelDirectory">The student before the first step.</param>
    /// <param name="cancellationToken">Stops looking.</param>
    /// <exception cref="Text.Errors.InvalidInputException">One does not.</exception>
    Task EnsureFitAsync(string modelDirectory, CancellationToken cancellationToken);

    /// <summary>Has a model answer all problems greedily and verifies the answers.</summary>
    /// <param name="modelDirectory">The model, as it would be written at the end of the training.</param>
    /// <param name="resultDirectory">
    /// Where answers and figures go; what an interrupted evaluation of the same weights left there is taken up.
    /// </param>
    /// <param name="cancellationToken">Stops the evaluation; answers that are known by then stay.</param>
    AnswerScores Score(string modelDirectory, string resultDirectory, CancellationToken cancellationToken);
}

/// <summary>The outcome of an <see cref="IAnswerEvaluation"/>.</summary>
/// <param name="Correct">Answers that were verified as correct.</param>
/// <param name="Count">Problems.</param>
/// <param name="MeanTokens">Tokens of an answer on the average.</param>
public readonly record struct AnswerScores(int Correct, int Count, double MeanTokens)
{
    /// <summary>From 0 to 1.</summary>
    public double Accuracy => (double)Correct / Count;
}

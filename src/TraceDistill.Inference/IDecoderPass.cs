namespace TraceDistill.Inference;

/// <summary>
/// The forward pass of one worker over a flat batch of tokens from any number of
/// sequences, whose keys and values (or states) stay in a cache.
/// </summary>
interface IDecoderPass : IDisposable
{
    /// <summary>Rows whose logits are worked out together, at most.</summary>
    int LogitRows { get; }

    /// <summary>Begins a new batch.</summary>
    void Clear();

    /// <summary>Adds a token; those of one sequence come one after another, in order of their positions.</summary>
    /// <param name="pages">Of its sequence, in order.</param>
    /// <param name="isLong">
    /// True where its sequence is to become long in the sense of <see cref="Models.Configuration.ModelConfiguration.IsLong"/>.
    /// </param>
    /// <param name="mayExit">True where it may leave at an early exit, if there is one.</param>
    /// <param name="vector">[D] stands in place of the token's embedding; empty for that.</param>
    /// <returns>Its row.</returns>
    int Add(int token, int position, int[] pages, bool isLong = false, bool mayExit = false, ReadOnlyMemory<float> vector = default);

    /// <summary>Tokens of the last run that left at an early exit.</summary>
    int Exited { get; }

    /// <summary>Runs all layers over the batch.</summary>
    /// <param name="wanted">The rows whose logits will be asked for, ascending.</param>
    /// <param name="helpers">Threads that have nothing else to do, in this run and for its logits.</param>
    void Run(IReadOnlyList<int> wanted, int helpers = 0);

    /// <summary>Works out the logits of some of the wanted rows, at most <see cref="LogitRows"/>; the next call overwrites them.</summary>
    /// <param name="first">Index of the first one among the wanted.</param>
    /// <param name="count">Number of rows.</param>
    void ComputeLogits(int first, int count);

    /// <summary>[V] logits of the <paramref name="index"/>-th row of the last <see cref="ComputeLogits"/>.</summary>
    ReadOnlySpan<float> Logits(int index);
}

using TraceDistill.Cli.Secrets;
using TraceDistill.Data.Options;
using TraceDistill.Models.Native;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Stages;

/// <summary>Output of a verb: whether it writes files, and so can be a stage of a recipe.</summary>
enum VerbOutput
{
    /// <summary>It only prints; it cannot be a stage.</summary>
    None,

    /// <summary>It prints, and writes files where <c>--out</c> is given.</summary>
    Optional,

    /// <summary>It writes files; <c>--out</c> must be given.</summary>
    Required,
}

/// <summary>One action of the program: a command of its own, and, where it writes files, a stage of recipes.</summary>
interface IVerb
{
    /// <summary>Its name on the command line and after <c>do:</c>.</summary>
    string Name { get; }

    /// <summary>One line for the help.</summary>
    string Description { get; }

    /// <summary>The immutable record that holds its options.</summary>
    Type OptionsType { get; }

    VerbOutput Output { get; }

    /// <summary>Returns whether <c>--out</c> names one file, not a folder.</summary>
    /// <param name="options">An <see cref="OptionsType"/>.</param>
    bool WritesFile(object options, string output);

    /// <summary>True if the verb locks its output folder itself, as one that several processes may share does.</summary>
    bool LocksOutput { get; }

    /// <summary>True where it goes on from what an earlier, interrupted attempt left in its output folder.</summary>
    bool IsResumable { get; }

    /// <summary>
    /// Returns whether it can run at the same time as other such stages, in a process of its own: it computes by itself and asks no
    /// endpoint, whose limits hold for one stage at a time, and what comes out does not depend on how many cores it has.
    /// </summary>
    /// <param name="options">An <see cref="OptionsType"/>.</param>
    bool RunsBesideOthers(object options);

    /// <summary>An estimate of the memory that its process takes at most, in bytes, once its inputs are there.</summary>
    /// <param name="options">An <see cref="OptionsType"/>.</param>
    long EstimateMemory(object options);

    /// <summary>True where it reads whatever the stages before it made, without naming them.</summary>
    bool ReadsWholeRun { get; }

    /// <summary>Names of output files that also belong into the run directory itself.</summary>
    IReadOnlyList<string> RunDirectoryFiles { get; }

    /// <summary>Names that other stages may read in its output folder; null where only running it tells.</summary>
    IReadOnlyCollection<string>? OutputNames(object options);

    /// <summary>Files and folders that it reads although no path-valued option names them, such as a prompt found by its name.</summary>
    IEnumerable<string> ImplicitInputs(object options);

    /// <summary>
    /// Events that its stage will run into, as far as its options, those of the stages that it reads and the files that are there tell.
    /// </summary>
    /// <param name="options">An <see cref="OptionsType"/>.</param>
    /// <exception cref="InvalidInputException">A file that is there is wrong.</exception>
    IAsyncEnumerable<Foreseen> ForeseeAsync(object options, Foresight ahead, CancellationToken cancellationToken);

    /// <summary>True where what it prints is what was asked for, and so belongs on standard output.</summary>
    bool PrintsResult { get; }

    /// <summary>True where it may send keys to endpoints, and so takes <c>--allow-key</c>.</summary>
    bool SendsKeys { get; }

    /// <summary>The keys that it sends by its options, and where to.</summary>
    IEnumerable<KeyUse> KeyUses(object options);

    /// <summary>Settings that leave it at half of what it is for, so that a stage cannot have them.</summary>
    IReadOnlyCollection<string> CommandLineOnly { get; }

    /// <summary>
    /// True where what it has made is worth keeping under other options, too: then its unfinished work is never thrown away for it, and it
    /// decides itself what
    /// of the earlier output it takes over.
    /// </summary>
    bool KeepsEarlierWork { get; }

    /// <summary>A remark for the plan on what it would do with what is there.</summary>
    /// <param name="options">An <see cref="OptionsType"/>.</param>
    /// <param name="folder">Its unfinished work, or else what it made before.</param>
    /// <param name="isDiscarded">True to give up results that are not wanted any more.</param>
    /// <returns>Null where there is nothing to be said.</returns>
    Task<string?> PreviewAsync(object options, string folder, bool isDiscarded, CancellationToken cancellationToken);

    /// <summary>Does it.</summary>
    /// <param name="options">An <see cref="OptionsType"/>.</param>
    /// <returns>The result, to be written as JSON.</returns>
    Task<object> RunAsync(object options, StageContext context, CancellationToken cancellationToken);
}

/// <summary>An <see cref="IVerb"/> whose options are <typeparamref name="TOptions"/>.</summary>
abstract class Verb<TOptions> : IVerb
    where TOptions : class
{
    /// <summary>Memory of a process that computes little: the runtime and libtorch.</summary>
    protected const long ProcessMemory = 300_000_000;

    /// <summary>Size of a file that is read into memory; 0 where it is not there.</summary>
    protected static long FileBytes(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : 0;

    public abstract string Name { get; }

    public abstract string Description { get; }

    public Type OptionsType => typeof(TOptions);

    public abstract VerbOutput Output { get; }

    public virtual bool LocksOutput => false;

    public virtual bool IsResumable => false;

    public virtual bool ReadsWholeRun => false;

    public virtual bool KeepsEarlierWork => false;

    public virtual bool PrintsResult => false;

    public virtual bool SendsKeys => false;

    public virtual IReadOnlyList<string> RunDirectoryFiles => [];

    public virtual IReadOnlyCollection<string> CommandLineOnly => [];

    /// <inheritdoc cref="IVerb.RunAsync"/>
    public abstract Task<object> RunAsync(TOptions options, StageContext context, CancellationToken cancellationToken);

    /// <inheritdoc cref="IVerb.RunsBesideOthers"/>
    public virtual bool RunsBesideOthers(TOptions options) => false;

    /// <inheritdoc cref="IVerb.EstimateMemory"/>
    public virtual long EstimateMemory(TOptions options) => ProcessMemory;

    /// <inheritdoc cref="IVerb.WritesFile"/>
    public virtual bool WritesFile(TOptions options, string output) => false;

    /// <inheritdoc cref="IVerb.OutputNames"/>
    public virtual IReadOnlyCollection<string>? OutputNames(TOptions options) => null;

    /// <inheritdoc cref="IVerb.ImplicitInputs"/>
    public virtual IEnumerable<string> ImplicitInputs(TOptions options) => [];

    /// <inheritdoc cref="IVerb.PreviewAsync"/>
    public virtual Task<string?> PreviewAsync(TOptions options, string folder, bool isDiscarded, CancellationToken cancellationToken) =>
        Task.FromResult<string?>(null);

    Task<string?> IVerb.PreviewAsync(object options, string folder, bool isDiscarded, CancellationToken cancellationToken) =>
        PreviewAsync((TOptions)options, folder, isDiscarded, cancellationToken);

    /// <inheritdoc cref="IVerb.ForeseeAsync"/>
    public virtual IAsyncEnumerable<Foreseen> ForeseeAsync(TOptions options, Foresight ahead, CancellationToken cancellationToken) =>
        AsyncEnumerable.Empty<Foreseen>();

    IAsyncEnumerable<Foreseen> IVerb.ForeseeAsync(object options, Foresight ahead, CancellationToken cancellationToken)
    {
        // Hours of other stages may lie before the one that needs the device.
        Foreseen[] device = (options as IDeviceOptions)?.Device?.WhyMissing() is { } missing
            ? [new Foreseen(IsCertain: true, missing)]
            : [];
        return device.ToAsyncEnumerable().Concat(ForeseeAsync((TOptions)options, ahead, cancellationToken));
    }

    /// <inheritdoc cref="IVerb.KeyUses"/>
    public virtual IEnumerable<KeyUse> KeyUses(TOptions options) => [];

    bool IVerb.RunsBesideOthers(object options) => RunsBesideOthers((TOptions)options);

    long IVerb.EstimateMemory(object options) => EstimateMemory((TOptions)options);

    bool IVerb.WritesFile(object options, string output) => WritesFile((TOptions)options, output);

    IReadOnlyCollection<string>? IVerb.OutputNames(object options) => OutputNames((TOptions)options);

    IEnumerable<string> IVerb.ImplicitInputs(object options) => ImplicitInputs((TOptions)options);

    IEnumerable<KeyUse> IVerb.KeyUses(object options) => KeyUses((TOptions)options);

    Task<object> IVerb.RunAsync(object options, StageContext context, CancellationToken cancellationToken) =>
        RunAsync((TOptions)options, context, cancellationToken);
}

namespace TraceDistill.Cli.Stages;

/// <summary>Output that a stage made before its options or inputs changed, until the new output takes its place.</summary>
/// <param name="Folder">The finished stage's folder.</param>
/// <param name="ChangedInputs">Keys of the options whose files have other contents than then.</param>
sealed record EarlierOutput(string Folder, IReadOnlySet<string> ChangedInputs);

using System.ComponentModel;
using TraceDistill.Data.Options;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Training;

/// <summary>A further student that learns in step with the first: of its shape, of another one, or a model that goes on.</summary>
public sealed record PeerChoice
{
    /// <value>That of the first student, unless a directory is given.</value>
    [Description("Config of a peer from scratch; the first student's unless given, or student")]
    public ModelArchitecture? Architecture { get; init; }

    /// <value>None.</value>
    [InputPath]
    [Description("Model directory that a peer starts from; instead of architecture")]
    public string? Student { get; init; }

    /// <summary>Its shape beside the first student's, as far as that is known by now.</summary>
    internal ModelConfiguration ShapeBeside(ModelConfiguration first) =>
        Architecture is { } own ? own.Configure(first.VocabSize, [])
        : Student is { } directory && File.Exists(Path.Combine(directory, ModelConfiguration.FileName)) ? ModelConfiguration.Load(directory)
        : first;

    /// <value>One drawn from the run's seed and the peer's number.</value>
    [Description("Seed of a peer's initial weights; drawn from the run's and its number unless given")]
    public long? Seed { get; init; }
}

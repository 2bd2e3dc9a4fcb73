using System.ComponentModel;
using TraceDistill.Cli.Binding;
using TraceDistill.Data.Options;

namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>inspect</c>.</summary>
sealed record InspectOptions
{
    [Positional]
    [InputPath]
    [Description("Folder of trace shards, one Parquet file, or a model directory")]
    public required string Path { get; init; }

    [Description("Show the trace with this id, or the first whose id begins with it, token by token")]
    public string? Trace { get; init; }

    [InputPath]
    [Description(
        "Folder with the tokenizer.json that gives token ids their text, "
            + "and with --rendered the student's chat template; otherwise the one stored with the traces"
    )]
    public string? Tokenizer { get; init; }

    [Description(
        "Show a trace, the first unless --trace names one, as a student is trained on it: "
            + "the exact text, what it learns to write in colour or between ⟦ and ⟧"
    )]
    public bool Rendered { get; init; }
}

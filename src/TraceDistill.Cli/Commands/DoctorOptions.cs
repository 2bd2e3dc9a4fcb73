namespace TraceDistill.Cli.Commands;

/// <summary>Options of <c>doctor</c>.</summary>
sealed record DoctorOptions;

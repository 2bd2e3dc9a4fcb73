using TraceDistill.Cli.Doctor;

namespace TraceDistill.Cli.Commands;

/// <summary>Whether this machine, and an endpoint where one is named, can do what the program needs.</summary>
sealed class DoctorVerb : Verb<DoctorOptions>
{
    public override string Name => "doctor";

    public override string Description => "Check the machine and the native libraries";

    public override VerbOutput Output => VerbOutput.None;

    public override Task<object> RunAsync(DoctorOptions options, StageContext context, CancellationToken cancellationToken)
    {
        List<Check> checks = [.. MachineChecks.All(), .. LibraryChecks.All()];
        var width = checks.Max(check => check.Name.Length);
        foreach (var check in checks)
        {
            context.Observer.Message($"{check.State.ToString().ToLowerInvariant(),-4}  {check.Name.PadRight(width)}  {check.Detail}");
        }

        return Task.FromResult<object>(new DoctorReport(Recipes.Fingerprint.ProgramVersion, checks));
    }
}

/// <summary>What <c>doctor</c> found.</summary>
sealed record DoctorReport(string Version, IReadOnlyList<Check> Checks) : IVerdict
{
    public bool Ok => Checks.All(check => check.State != CheckState.Fail);

    int IVerdict.ExitCode => Ok ? CommandLine.ExitCode.Done : CommandLine.ExitCode.ExternalFailure;
}

using TraceDistill.Cli.Doctor;
using TraceDistill.Teachers.Connector;

namespace TraceDistill.Cli.Commands;

/// <summary>Whether this machine, and an endpoint where one is named, can do what the program needs.</summary>
sealed class DoctorVerb : Verb<DoctorOptions>
{
    public override string Name => "doctor";

    public override string Description => "Check the machine, the native libraries and an endpoint's capabilities";

    public override VerbOutput Output => VerbOutput.None;

    public override async Task<object> RunAsync(DoctorOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var endpoint = options.Endpoint is { } address ? TeacherEndpoint.Create(address, options.Model ?? "", options.ApiKeyEnv, Environment.GetEnvironmentVariable) : null;
        List<Check> checks = [Check.Ok("program", $"TraceDistill {Recipes.Fingerprint.ProgramVersion}"), .. MachineChecks.All(), .. LibraryChecks.All()];
        if (endpoint is not null)
        {
            checks.Add(await EndpointCheck.RunAsync(endpoint, options.TopLogprobs, context.TimeProvider, cancellationToken));
        }

        var width = checks.Max(check => check.Name.Length);
        foreach (var check in checks)
        {
            context.Observer.Message($"{check.State.ToString().ToLowerInvariant(),-4}  {check.Name.PadRight(width)}  {check.Detail}");
        }

        return new DoctorReport(Recipes.Fingerprint.ProgramVersion, checks);
    }
}

/// <summary>What <c>doctor</c> found.</summary>
sealed record DoctorReport(string Version, IReadOnlyList<Check> Checks) : IVerdict
{
    public bool Ok => Checks.All(check => check.State != CheckState.Fail);

    int IVerdict.ExitCode => Ok ? CommandLine.ExitCode.Done : CommandLine.ExitCode.ExternalFailure;
}

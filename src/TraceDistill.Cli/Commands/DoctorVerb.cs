using TraceDistill.Cli.Doctor;
using TraceDistill.Cli.Secrets;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Dialects;

namespace TraceDistill.Cli.Commands;

/// <summary>Checks whether this machine, and an endpoint where one is named, can do what the program needs.</summary>
sealed class DoctorVerb : Verb<DoctorOptions>
{
    public override string Name => "doctor";

    public override string Description => "Check the machine, the native libraries and an endpoint's capabilities";

    public override VerbOutput Output => VerbOutput.None;

    public override bool PrintsResult => true;

    public override bool SendsKeys => true;

    public override IEnumerable<KeyUse> KeyUses(DoctorOptions options) =>
        KeyUse.Of(options.Endpoint, options.ApiKeyEnv, options.ApiKeyFile);

    public override async Task<object> RunAsync(DoctorOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var endpoint = options.Endpoint is null ? null : TeacherEndpoint.Create(EndpointOf(options));
        List<Check> checks =
        [
            Check.Ok("program", $"TraceDistill {Recipes.Fingerprint.ProgramVersion}"),
            .. MachineChecks.All(),
            .. LibraryChecks.All(),
        ];
        TeacherCapabilities? capabilities = null;
        if (endpoint is not null)
        {
            (var check, capabilities) = await EndpointCheck.RunAsync(
                endpoint,
                SamplingOf(options),
                context.TimeProvider,
                cancellationToken
            );
            checks.Add(check);
        }

        var width = checks.Max(check => check.Name.Length);
        foreach (var check in checks)
        {
            context.Observer.Message($"{check.State.ToString().ToLowerInvariant(), -4}  {check.Name.PadRight(width)}  {check.Detail}");
        }

        return new DoctorReport(Recipes.Fingerprint.ProgramVersion, checks, capabilities);
    }

    static SamplingSettings SamplingOf(DoctorOptions options) =>
        new()
        {
            TopLogprobs = options.SampledLogprobs ?? options.TopLogprobs,
            DrawsAlternatives = options.SampledLogprobs is not null,
            Temperature = options.Temperature,
            TopP = options.TopP,
            ExtraBody = ExtraBody.Canonical(options.ExtraBody),
        };

    static EndpointSettings EndpointOf(DoctorOptions options) =>
        new()
        {
            Url = options.Endpoint!,
            Model = options.Model ?? "",
            ApiKeyEnv = options.ApiKeyEnv,
            ApiKeyFile = options.ApiKeyFile,
            Dialect = options.Dialect,
            Tokenizer = options.Tokenizer,
        };
}

/// <summary>Findings of <c>doctor</c>.</summary>
/// <param name="Version">The program's.</param>
/// <param name="Checks">One for each thing looked at.</param>
/// <param name="Endpoint">The endpoint's capabilities; null where none was named, or it did not answer.</param>
sealed record DoctorReport(string Version, IReadOnlyList<Check> Checks, TeacherCapabilities? Endpoint = null) : IVerdict
{
    public bool Ok => Checks.All(check => check.State != CheckState.Fail);

    int IVerdict.ExitCode => Ok ? CommandLine.ExitCode.Done : CommandLine.ExitCode.ExternalFailure;
}

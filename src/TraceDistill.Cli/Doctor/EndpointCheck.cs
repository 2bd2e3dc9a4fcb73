using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Doctor;

/// <summary>Checks with a few small requests whether an endpoint can be a teacher.</summary>
static class EndpointCheck
{
    const string Name = "endpoint";

    public static async Task<(Check Check, TeacherCapabilities? Capabilities)> RunAsync(
        TeacherEndpoint endpoint,
        SamplingSettings sampling,
        TimeProvider timeProvider,
        CancellationToken cancellationToken
    )
    {
        try
        {
            using var teacher = new TeacherPool(endpoint, new ResilienceOptions(), timeProvider, SilentObserver.Instance);
            var capabilities = await teacher.ProbeAsync(sampling, cancellationToken);
            return (Judge(endpoint, capabilities, sampling.TopLogprobs), capabilities);
        }
        catch (Exception exception) when (exception is InvalidInputException or ExternalFailureException)
        {
            return (new Check(Name, CheckState.Fail, exception.Message), null);
        }
    }

    static Check Judge(TeacherEndpoint endpoint, TeacherCapabilities found, int wanted) =>
        Check.WarnUnless(
            found.SoftTargetProblem is null && found.TopLogprobs >= wanted,
            Name,
            $"{endpoint}: {found}",
            found.SoftTargetProblem ?? $"{wanted} alternatives were asked for, so that soft targets are poorer"
        );
}

using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Storage;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Resilience;

namespace TraceDistill.Cli.Doctor;

/// <summary>Whether an endpoint can be a teacher: one small request tells.</summary>
static class EndpointCheck
{
    const string Name = "endpoint";

    public static async Task<Check> RunAsync(TeacherEndpoint endpoint, int topLogprobs, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        try
        {
            using var teacher = new HttpTeacher(endpoint, new ResilienceOptions(), timeProvider, SilentObserver.Instance);
            return Judge(endpoint, await teacher.ProbeAsync(new SamplingSettings { TopLogprobs = topLogprobs }, cancellationToken), topLogprobs);
        }
        catch (Exception exception) when (exception is InvalidInputException or ExternalFailureException)
        {
            return new Check(Name, CheckState.Fail, exception.Message);
        }
    }

    static Check Judge(TeacherEndpoint endpoint, TeacherCapabilities found, int wanted) => Check.WarnUnless(
        found.TokenIdentity != TokenIdentity.Text && found.TopLogprobs >= wanted,
        Name,
        $"{endpoint}: top {found.TopLogprobs} logprobs with token {found.TokenIdentity.ToString().ToLowerInvariant()}, prompt token ids {(found.PromptTokenIds ? "told" : "not told")}",
        $"{wanted} alternatives with token ids or bytes were asked for, so that soft targets are {(found.TopLogprobs == 0 ? "not possible" : "poorer")}");
}

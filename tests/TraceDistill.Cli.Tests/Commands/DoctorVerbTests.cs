using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Doctor;
using TraceDistill.Cli.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class DoctorVerbTests : IDisposable
{
    readonly CliHarness _cli = new() { Others = [new DoctorVerb()] };

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Doctor_OnAMachineThatRunsTheTests_FindsNothingMissing()
    {
        Assert.Equal(0, await _cli.RunAsync("doctor", "--json"));

        var checks = _cli.Json["checks"]!.AsArray();
        Assert.Equal(
            ["program", "system", ".NET", "processor", "memory", "disk", "libtorch", "products", "libstdc++", "charts", "cache"],
            checks.Select(check => (string)check!["name"]!)
        );
        Assert.DoesNotContain("fail", checks.Select(check => (string)check!["state"]!));
        Assert.Matches(@"ok    libtorch +2\.10.*TorchBackend=cpu", _cli.Error);
        Assert.Matches(@"ok    products +training: libtorch, float32.*; generation: own code, vectors of (128|256|512) bits", _cli.Error);
    }

    [Fact]
    public async Task Doctor_WithoutJson_PrintsItsFindingsOnStandardOutput()
    {
        Assert.Equal(0, await _cli.RunAsync("doctor"));

        Assert.Matches("(?m)^ok    program +TraceDistill ", _cli.Out);
        Assert.Equal("", _cli.Error);
    }

    [Fact]
    public void Try_CheckThatThrows_FailsWithTheInnermostReason()
    {
        var check = Check.Try("x", () => throw new TypeInitializationException("T", new DllNotFoundException("no such\nlibrary")));

        Assert.Equal(new Check("x", CheckState.Fail, "no such library"), check);
    }

    [Fact]
    public void Verdict_OfAFailedCheck_IsExitCode3()
    {
        IVerdict report = new DoctorReport("1", [new Check("x", CheckState.Warn, ""), new Check("y", CheckState.Fail, "")]);

        Assert.Equal(3, report.ExitCode);
    }
}

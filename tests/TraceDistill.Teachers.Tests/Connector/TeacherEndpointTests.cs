using TraceDistill.Teachers.Connector;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Connector;

public sealed class TeacherEndpointTests
{
    [Theory]
    [InlineData("http://gpu-01:8000/v1", "http://gpu-01:8000/v1/")]
    [InlineData("http://gpu-01:8000/v1/", "http://gpu-01:8000/v1/")]
    [InlineData("http://gpu-01:8000", "http://gpu-01:8000/v1/")]
    [InlineData("https://host/api/v3/chat/completions", "https://host/api/v3/")]
    public void Create_AnyFormOfTheAddress_FindsTheBase(string url, string expected) =>
        Assert.Equal(expected, TeacherEndpoint.Create(new EndpointSettings { Url = url, Model = "m" }).BaseAddress.ToString());

    [Theory]
    [InlineData("gpu-01:8000/v1", "m", null, "endpoint")]
    [InlineData("ftp://host/v1", "m", null, "endpoint")]
    [InlineData("http://user:secret@host/v1", "m", null, "--api-key-env")]
    [InlineData("htps://user:secret@host/v1", "m", null, "endpoint")]
    [InlineData("http:/user:secret@host:x/v1", "m", null, "endpoint")]
    [InlineData("http://host/v1", " ", null, "model")]
    [InlineData("http://host/v1", "m", "NOT_SET", "NOT_SET")]
    public void Create_WrongSetting_NamesIt(string url, string model, string? variable, string expected)
    {
        var error = Assert.Throws<InvalidInputException>(() =>
            TeacherEndpoint.Create(
                new EndpointSettings
                {
                    Url = url,
                    Model = model,
                    ApiKeyEnv = variable,
                },
                _ => null
            )
        );

        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain("secret", error.Message);
    }

    [Fact]
    public void ToString_WithAKey_DoesNotShowIt() =>
        Assert.Equal(
            "m at http://host/v1",
            TeacherEndpoint
                .Create(
                    new EndpointSettings
                    {
                        Url = "http://host",
                        Model = "m",
                        ApiKeyEnv = "KEY",
                    },
                    _ => "secret"
                )
                .ToString()
        );
}

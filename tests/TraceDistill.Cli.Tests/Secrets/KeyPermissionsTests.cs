using TraceDistill.Cli.Secrets;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.Secrets;

public sealed class KeyPermissionsTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("OPENAI_API_KEY", "https://api.openai.com/v1", true)]
    [InlineData("OPENAI_API_KEY", "https://API.OpenAI.com:443/v1", true)]
    [InlineData("OPENAI_API_KEY", "http://api.openai.com/v1", false)]
    [InlineData("OPENAI_API_KEY", "https://api.openai.com:8443/v1", false)]
    [InlineData("OPENAI_API_KEY", "https://api.openai.com./v1", false)]
    [InlineData("OPENAI_API_KEY", "https://api.openai.com.evil.net/v1", false)]
    [InlineData("OPENAI_API_KEY", "https://evil-api.openai.com/v1", false)]
    [InlineData("OPENAI_API_KEY", "https://api.openai.com@evil.net/v1", false)]
    [InlineData("OPENAI_API_KEY", "https://evil.net/api.openai.com", false)]
    [InlineData("OPENAI_API_KEY", "https://evil.net#api.openai.com", false)]
    [InlineData("OPENAI_API_KEY", "https://\u0430pi.openai.com/v1", false)] // Cyrillic а
    [InlineData("AWS_SECRET_ACCESS_KEY", "https://api.openai.com/v1", false)]
    [InlineData("openai_api_key", "https://api.openai.com/v1", false)]
    [InlineData("AZURE_OPENAI_API_KEY", "https://mine.openai.azure.com/openai/v1", true)]
    [InlineData("AZURE_OPENAI_API_KEY", "https://mine.openai.azure.com.evil.net/", false)]
    [InlineData("AZURE_OPENAI_API_KEY", "https://evilopenai.azure.com/", false)]
    [InlineData("DEEPSEEK_API_KEY", "https://api.deepseek.com", true)]
    [InlineData("OPENROUTER_API_KEY", "https://openrouter.ai/api/v1", true)]
    [InlineData("MISTRAL_API_KEY", "https://api.mistral.ai/v1", true)]
    [InlineData("ANYTHING", "http://localhost:8000/v1", true)]
    [InlineData("ANYTHING", "http://127.0.0.1:8000/v1", true)]
    [InlineData("ANYTHING", "http://[::1]:8000/v1", true)]
    [InlineData("ANYTHING", "http://localhost.evil.net/v1", false)]
    [InlineData("ANYTHING", "http://127.0.0.1.evil.net/v1", false)]
    [InlineData("ANYTHING", "http://loopback/v1", true)] // .NET's own name for localhost, under which it connects, too.
    public void Allows_WithoutAWordOfTheUser_WellKnownPairsAndLoopbackAlone(string variable, string url, bool expected) =>
        Assert.Equal(expected, KeyPermissions.Read([], userFile: null).Allows(Use(url, variable)));

    [Theory]
    [InlineData("K=gpu-01:8000", "http://gpu-01:8000/v1", true)]
    [InlineData("K=gpu-01:8000", "https://gpu-01:8000/v1", true)]
    [InlineData("K=GPU-01:8000", "http://gpu-01:8000/v1", true)]
    [InlineData("K=gpu-01:8000", "http://gpu-01:8001/v1", false)]
    [InlineData("K=gpu-01:8000", "http://gpu-01/v1", false)]
    [InlineData("K=gpu-01:8000", "http://gpu-01.evil.net:8000/v1", false)]
    [InlineData("K=gpu-01", "https://gpu-01/v1", true)]
    [InlineData("K=gpu-01", "http://gpu-01/v1", false)]
    [InlineData("K=gpu-01", "https://gpu-01:8443/v1", false)]
    [InlineData("OTHER=gpu-01:8000", "http://gpu-01:8000/v1", false)]
    [InlineData("K=[fd00::1]:8000", "http://[fd00::1]:8000/v1", true)]
    [InlineData("K=münchen.example", "https://xn--mnchen-3ya.example/v1", true)]
    public void Allows_PairOfTheOption_IsThatKeyAtThatHostAndPort(string option, string url, bool expected) =>
        Assert.Equal(expected, KeyPermissions.Read([option], userFile: null).Allows(Use(url, "K")));

    [Fact]
    public void Allows_LineOfTheUsersFile_CountsAsTheOption()
    {
        File.WriteAllText(_folder.File("allowed"), "# my servers\n\nK=gpu-01:8000\r\n/run/secrets/key=gpu-02\n");
        var permissions = KeyPermissions.Read([], _folder.File("allowed"));

        Assert.True(permissions.Allows(Use("http://gpu-01:8000/v1", "K")));
        Assert.True(permissions.Allows(KeyUse.Of("https://gpu-02/v1", null, "/run/secrets/../secrets/key").Single()));
        Assert.False(permissions.Allows(Use("https://gpu-02/v1", "K")));
        Assert.False(KeyPermissions.Read([], _folder.File("absent")).Allows(Use("http://gpu-01:8000/v1", "K")));
    }

    [Fact]
    public void Allows_FileNamedAsAWellKnownVariable_IsStillAFile() =>
        Assert.False(
            KeyPermissions
                .Read(["OPENAI_API_KEY=gpu-01"], userFile: null)
                .Allows(KeyUse.Of("https://api.openai.com/v1", null, "OPENAI_API_KEY").Single())
        );

    [Theory]
    [InlineData("K")]
    [InlineData("=host")]
    [InlineData("K=")]
    [InlineData("K=http://host")]
    [InlineData("K=host/v1")]
    [InlineData("K=user@host")]
    [InlineData("K=host:port")]
    public void Read_NoPair_SaysWhatOneLooksLike(string option) =>
        Assert.Contains(
            "is not NAME=HOST",
            Assert.Throws<InvalidInputException>(() => KeyPermissions.Read([option], userFile: null)).Message,
            StringComparison.Ordinal
        );

    static KeyUse Use(string url, string variable) => KeyUse.Of(url, variable, null).Single();
}

using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>An https server on a free loopback port whose certificate nobody vouches for.</summary>
sealed class SecureServer : IAsyncDisposable
{
    readonly WebApplication _app;
    readonly X509Certificate2 _certificate;

    SecureServer(WebApplication app, X509Certificate2 certificate) => (_app, _certificate) = (app, certificate);

    public string Url => _app.Urls.Single() + "/v1";

    /// <summary>Requests that arrived, by their protocol.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<string> Protocols { get; } = new();

    public static async Task<SecureServer> StartAsync(Func<HttpContext, Task> answer)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var temporary = request.CreateSelfSigned(new(2020, 1, 1, 0, 0, 0, TimeSpan.Zero), new(2040, 1, 1, 0, 0, 0, TimeSpan.Zero));
        var certificate = X509CertificateLoader.LoadPkcs12(temporary.Export(X509ContentType.Pkcs12), password: null);

        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
                listen.UseHttps(new HttpsConnectionAdapterOptions { ServerCertificate = certificate })
            )
        );
        var app = builder.Build();
        var server = new SecureServer(app, certificate);
        app.Run(context =>
        {
            server.Protocols.Enqueue(context.Request.Protocol);
            return answer(context);
        });
        await app.StartAsync();
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _certificate.Dispose();
    }
}

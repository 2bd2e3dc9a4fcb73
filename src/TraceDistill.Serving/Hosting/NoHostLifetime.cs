using Microsoft.Extensions.Hosting;

namespace TraceDistill.Serving.Hosting;

/// <summary>Leaves signals to the program: a server inside a recipe stage must not take Ctrl-C for itself.</summary>
sealed class NoHostLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

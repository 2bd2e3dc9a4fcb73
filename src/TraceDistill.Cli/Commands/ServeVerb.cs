using TraceDistill.Cli.Stages;
using TraceDistill.Serving;
using TraceDistill.Serving.Model;

namespace TraceDistill.Cli.Commands;

/// <summary>An OpenAI-compatible server over a model directory, until it is interrupted.</summary>
sealed class ServeVerb : Verb<ServeOptions>
{
    public override string Name => "serve";

    public override string Description => "Serve a model directory over OpenAI's protocol";

    public override VerbOutput Output => VerbOutput.None;

    public override async Task<object> RunAsync(ServeOptions options, StageContext context, CancellationToken cancellationToken)
    {
        await using var server = await ModelServer.StartAsync(options, context.Observer, context.TimeProvider, cancellationToken);
        context.Observer.Message($"serving {server.ModelName} at {new Uri(server.Endpoint, "v1")} (Ctrl-C stops)");

        var stopped = new TaskCompletionSource();
        await using (cancellationToken.Register(stopped.SetResult))
        {
            await stopped.Task;
        }

        context.Observer.Message("stopping");
        return new { Model = server.ModelName, server.Endpoint };
    }
}

using TraceDistill.Cli.CommandLine;
using TraceDistill.Cli.Commands;
using TraceDistill.Text.Hosting;

if (args is [TokenizerHost.Verb])
{
    return TokenizerHost.Run(Console.OpenStandardInput(), Console.OpenStandardOutput());
}

using var interruption = new Interruption();
var host = CommandHost.Process(interruption.Token);
if (host.Run is not null)
{
    StageChannel.WhenRunCloses(Console.OpenStandardInput(), interruption.Request);
}

return await TraceDistillCommand.RunAsync(args, Verbs.All, host);

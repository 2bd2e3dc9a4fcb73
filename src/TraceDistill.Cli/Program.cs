using TraceDistill.Cli.CommandLine;
using TraceDistill.Cli.Commands;
using TraceDistill.Core.TokenizerHosting;

if (args is [TokenizerHost.Verb])
{
    return TokenizerHost.Run(Console.OpenStandardInput(), Console.OpenStandardOutput());
}

using var interruption = new Interruption();
return await TraceDistillCommand.RunAsync(args, Verbs.All, CommandHost.Process(interruption.Token));

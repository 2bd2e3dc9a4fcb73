using TraceDistill.Cli.CommandLine;
using TraceDistill.Cli.Commands;

using var interruption = new Interruption();
return await TraceDistillCommand.RunAsync(args, Verbs.All, CommandHost.Process(interruption.Token));

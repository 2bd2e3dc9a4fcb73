using TraceDistill.Benchmarks;

return args switch
{
    ["engine", .. var options] => await EngineBenchmark.RunAsync(new Arguments(options)),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        Whole-job benchmarks. dotnet run -c Release --project tests/TraceDistill.Benchmarks -- NAME [--option value ...]

          engine   tokens/s of the generation engine alone   [--model DIR] [--sequences 32] [--tokens 300] [--threads 2] [--top 20]
        """);
    return 2;
}

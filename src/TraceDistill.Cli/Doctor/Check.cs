namespace TraceDistill.Cli.Doctor;

/// <summary>Outcome of a check.</summary>
enum CheckState
{
    Ok,

    /// <summary>The program works, but slowly or not in full.</summary>
    Warn,

    /// <summary>Something the program needs is missing.</summary>
    Fail,
}

/// <summary>One line of the doctor's report.</summary>
/// <param name="Name">Subject of the check, in a word or two.</param>
/// <param name="Detail">Finding, and what to do where it is not well.</param>
sealed record Check(string Name, CheckState State, string Detail)
{
    public static Check Ok(string name, string detail) => new(name, CheckState.Ok, detail);

    /// <summary>A warning where <paramref name="isWell"/> is false.</summary>
    public static Check WarnUnless(bool isWell, string name, string detail, string advice) =>
        isWell ? Ok(name, detail) : new Check(name, CheckState.Warn, $"{detail}: {advice}");

    /// <summary>Runs a check; whatever it throws is its failure.</summary>
    public static Check Try(string name, Func<Check> check)
    {
        try
        {
            return check();
        }
        catch (Exception exception)
        {
            return new Check(name, CheckState.Fail, exception.GetBaseException().Message.ReplaceLineEndings(" "));
        }
    }
}

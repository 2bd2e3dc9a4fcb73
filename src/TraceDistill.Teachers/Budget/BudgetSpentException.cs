using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Budget;

/// <summary>A budget is spent before there is anything to go on with; a larger one goes on.</summary>
/// <param name="setting">The setting whose limit that is.</param>
/// <param name="advice">What is so, and what to do about it, in the words that follow the setting.</param>
public sealed class BudgetSpentException(string setting, string advice) : InvalidInputException($"{setting}: {advice}")
{
    /// <summary>The setting whose limit is spent.</summary>
    public string Setting => setting;
}

using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Budget;

/// <summary>A budget is spent before there is anything to go on with; a larger one goes on.</summary>
/// <param name="message">One line that names the setting and says what to do.</param>
public sealed class BudgetSpentException(string message) : InvalidInputException(message);

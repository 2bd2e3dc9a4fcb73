namespace TraceDistill.Teachers.Budget;

/// <summary>The request was not sent: what is left of the budget may not be enough for it.</summary>
sealed class BudgetSpentException() : Exception("the budget is spent");

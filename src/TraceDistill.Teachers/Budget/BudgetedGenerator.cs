using TraceDistill.Core.Generation;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Telemetry;

namespace TraceDistill.Teachers.Budget;

/// <summary>Lets requests through as long as the budget lasts, and writes down what was taken.</summary>
sealed class BudgetedGenerator(ITextGenerator inner, CollectionBudget budget, UsageLedger usage) : ITextGenerator
{
    /// <exception cref="NotSentException">The budget is spent.</exception>
    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        var reservation = await budget.ReserveAsync(PromptSize.Tokens(request.Messages), request.Sampling.MaxTokens, cancellationToken);
        try
        {
            return await inner.GenerateAsync(request, cancellationToken);
        }
        finally
        {
            budget.Release(reservation);
            usage.SaveNowAndThen();
        }
    }
}

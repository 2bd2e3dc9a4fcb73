using TraceDistill.Data.Contracts;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>Cancels at a step.</summary>
sealed class CancelAt(int step, CancellationTokenSource source) : IRunObserver
{
    public void Progress(string activity, long done, long? total, string unit, string? note = null)
    {
        if (activity == "train" && done == step)
        {
            source.Cancel();
        }
    }

    public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

    public void Message(string text) { }
}

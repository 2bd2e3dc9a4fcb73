namespace TraceDistill.Data.Contracts;

/// <summary>Where a long job tells what it is doing. Implementations are thread-safe and cheap to call.</summary>
public interface IRunObserver
{
    /// <summary>Progress of the current job; the observer works out rate and time left.</summary>
    /// <param name="activity">Name of the activity, such as <c>collect</c>.</param>
    /// <param name="done">Units done so far, those of an earlier, interrupted run included.</param>
    /// <param name="total">Units in all, or null where that is unknown.</param>
    /// <param name="unit">Name of the things counted, such as <c>traces</c>.</param>
    /// <param name="note">A short remark, such as <c>loss 0.31</c>.</param>
    void Progress(string activity, long done, long? total, string unit, string? note = null);

    /// <summary>Named values at one step, for metrics.jsonl and TensorBoard.</summary>
    void Metrics(long step, IReadOnlyDictionary<string, double> values);

    /// <summary>One line for the user.</summary>
    void Message(string text);

    /// <summary>A text for the user with stretches set off: by colour where the observer has any, else between ⟦ and ⟧.</summary>
    void Message(IReadOnlyList<TextStretch> text) => Message(TextStretch.Marked(text));
}

namespace TraceDistill.Training.Head;

/// <summary>Figures of several teachers: sums over the tokens of which any of them says something.</summary>
/// <param name="Weights">Weight of each.</param>
/// <param name="Tokens">Number of tokens.</param>
/// <param name="GateLoss">−log of the probability of the drawn token; 0 without a gate.</param>
/// <param name="GateGradient">Its gradient by the gate's weights; empty without a gate.</param>
public sealed record PanelTotals(double[] Weights, double Tokens, double GateLoss, double[] GateGradient)
{
    /// <summary>Both together.</summary>
    public PanelTotals Plus(PanelTotals other) =>
        new(
            [.. Weights.Zip(other.Weights, (a, b) => a + b)],
            Tokens + other.Tokens,
            GateLoss + other.GateLoss,
            [.. GateGradient.Zip(other.GateGradient, (a, b) => a + b)]
        );

    /// <summary>For metrics.jsonl: <c>teacher_weight_1</c> and so on, the mean weight of each, and <c>loss_gate</c>.</summary>
    public IEnumerable<KeyValuePair<string, double>> ToValues()
    {
        foreach (var (index, weight) in Tokens > 0 ? Weights.Index() : [])
        {
            yield return new($"teacher_weight_{index + 1}", weight / Tokens);
        }

        if (GateGradient.Length > 0 && Tokens > 0)
        {
            yield return new("loss_gate", GateLoss / Tokens);
        }
    }
}

using TraceDistill.Models.Configuration;

namespace TraceDistill.Inference;

/// <summary>
/// Early-exit decoding: a generated token whose next one is likely enough after a layer already leaves the others out (CALM, Schuster et
/// al., arXiv 2207.07061, with its softmax response). Later tokens that attend to it find keys and values that the other layers make of the
/// state that it left with, as there. Prompts go through all layers.
/// </summary>
/// <param name="Layer">The exit, from 0; below the last layer.</param>
/// <param name="Threshold">Probability of the likeliest next token from which on a token leaves; 0 is always, above 1 never.</param>
public sealed record EarlyExit(int Layer, double Threshold)
{
    /// <summary>Says why a model cannot be left there.</summary>
    /// <returns>The reason, with the exits that it has; null where it can.</returns>
    public string? Refuses(ModelConfiguration shape) =>
        shape.Recurrence is not null ? "a recurrent model's layers all have to see every token: leave it out"
        : Layer >= shape.NumHiddenLayers - 1 ? $"{Layer} is not below the model's last layer, {shape.NumHiddenLayers - 1}"
        : Untaught(shape.EarlyExitLayers);

    /// <summary>Says that a model was not taught this exit.</summary>
    /// <param name="taught">Those that it was taught.</param>
    /// <returns>Null where it was.</returns>
    public string? Untaught(IReadOnlyList<int> taught) =>
        taught.Contains(Layer) ? null
        : taught.Count > 0 ? $"layer {Layer} of the model was not taught to be an exit; take {string.Join(" or ", taught)}"
        : "the model was not taught any exits: train it with early_exits, or, where another program did, "
            + "name them in its config.json as early_exit_layers";
}

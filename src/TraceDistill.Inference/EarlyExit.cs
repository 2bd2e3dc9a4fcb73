namespace TraceDistill.Inference;

/// <summary>
/// Early-exit decoding: a generated token whose next one is likely enough after a layer already leaves the others out (CALM, Schuster et
/// al., arXiv 2207.07061, with its softmax response). Later tokens that attend to it find keys and values that the other layers make of the
/// state that it left with, as there. Prompts go through all layers.
/// </summary>
/// <param name="Layer">The exit, from 0; below the last layer.</param>
/// <param name="Threshold">Probability of the likeliest next token from which on a token leaves; 0 is always, above 1 never.</param>
public sealed record EarlyExit(int Layer, double Threshold);

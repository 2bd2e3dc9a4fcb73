namespace TraceDistill.Data.Shards.Codec;

/// <summary>
/// One half of an entropy coder. Encoder and decoder offer the same calls, so that a model is written once and run in both directions: the
/// encoder writes <c>value</c> and returns it, the decoder ignores <c>value</c> and returns what was written.
/// </summary>
interface INibbleCoder
{
    /// <summary>A symbol of 0…15 under an adaptive model.</summary>
    int Nibble(AdaptiveNibbles models, int model, int value);

    /// <summary>An evenly distributed number of <paramref name="count"/> bits, 0…16.</summary>
    int Bits(int count, int value);
}

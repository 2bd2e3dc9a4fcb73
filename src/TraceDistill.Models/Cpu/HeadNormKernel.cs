using TraceDistill.Models.Configuration;

namespace TraceDistill.Models.Cpu;

// H = heads of queries and keys, C = channels of a head, W = width of queries, keys and values, R = H · C

/// <summary>
/// Qwen 3's norms: <see cref="RmsNormKernel"/> over each head of the queries and of the keys, all heads of a kind by one weight.
/// </summary>
sealed unsafe class HeadNormKernel(ModelConfiguration configuration)
{
    readonly int _channels = configuration.HeadDim,
        _queryHeads = configuration.NumAttentionHeads,
        _keyHeads = configuration.NumKeyValueHeads;
    readonly int _width = configuration.QuerySize + 2 * configuration.KeyValueSize;
    readonly float _epsilon = (float)configuration.RmsNormEps;

    /// <summary>H.</summary>
    public static int Heads(ModelConfiguration configuration) => configuration.NumAttentionHeads + configuration.NumKeyValueHeads;

    /// <summary>R.</summary>
    public static int Rotated(ModelConfiguration configuration) => configuration.QuerySize + configuration.KeyValueSize;

    /// <param name="qkv">[rows, W]; queries and keys are normalised in place.</param>
    /// <param name="queryWeight">[C].</param>
    /// <param name="keyWeight">[C].</param>
    /// <param name="raw">[rows, R], written: queries and keys as they were, kept for the backward pass.</param>
    /// <param name="inverse">[rows, H], written: 1 / root mean square of each head, kept for the backward pass.</param>
    public void Forward(float* qkv, float* queryWeight, float* keyWeight, float* raw, float* inverse, int rows)
    {
        var rotated = (_queryHeads + _keyHeads) * _channels;
        for (var row = 0; row < rows; row++, qkv += _width, raw += rotated, inverse += _queryHeads + _keyHeads)
        {
            new ReadOnlySpan<float>(qkv, rotated).CopyTo(new Span<float>(raw, rotated));
            var keys = _queryHeads * _channels;
            RmsNormKernel.Forward(raw, queryWeight, qkv, inverse, _queryHeads, _channels, _epsilon);
            RmsNormKernel.Forward(raw + keys, keyWeight, qkv + keys, inverse + _queryHeads, _keyHeads, _channels, _epsilon);
        }
    }

    /// <summary>
    /// Turns the gradient of the normalised queries and keys into that of the raw ones, in place, and adds those of the weights.
    /// </summary>
    /// <param name="qkvGradient">[rows, W].</param>
    /// <param name="queryWeight">[C].</param>
    /// <param name="keyWeight">[C].</param>
    /// <param name="raw">As the forward pass wrote it.</param>
    /// <param name="inverse">As the forward pass wrote it.</param>
    /// <param name="queryGradient">[C], added to. Null where the weight is frozen.</param>
    /// <param name="keyGradient">[C], likewise.</param>
    public void Backward(
        float* qkvGradient,
        float* queryWeight,
        float* keyWeight,
        float* raw,
        float* inverse,
        float* queryGradient,
        float* keyGradient,
        int rows
    )
    {
        int rotated = (_queryHeads + _keyHeads) * _channels,
            keys = _queryHeads * _channels;
        for (var row = 0; row < rows; row++, qkvGradient += _width, raw += rotated, inverse += _queryHeads + _keyHeads)
        {
            RmsNormKernel.Backward(raw, queryWeight, inverse, qkvGradient, qkvGradient, queryGradient, _queryHeads, _channels);
            RmsNormKernel.Backward(
                raw + keys,
                keyWeight,
                inverse + _queryHeads,
                qkvGradient + keys,
                qkvGradient + keys,
                keyGradient,
                _keyHeads,
                _channels
            );
        }
    }
}

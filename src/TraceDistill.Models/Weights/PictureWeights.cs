using TraceDistill.Models.Configuration;

namespace TraceDistill.Models.Weights;

/// <summary>Names, shapes and first values of the weights of an encoder of pictures, called as timm calls a vision transformer's.</summary>
static class PictureWeights
{
    /// <summary>Begins the names of its weights.</summary>
    public const string Prefix = "picture_encoder.";

    /// <summary>Names and shapes of its weights.</summary>
    /// <param name="c">Its shape.</param>
    /// <param name="decoderSize">D.</param>
    public static IEnumerable<(string Name, long[] Shape)> Shapes(PictureEncoderSettings c, int decoderSize)
    {
        (string Name, long[] Shape)[] first =
        [
            .. Layer("patch_embed.proj", c.HiddenSize, c.PatchSize),
            ("pos_embed", [1, c.Patches, c.HiddenSize]),
        ];
        var layers = Enumerable
            .Range(0, c.NumHiddenLayers)
            .SelectMany(layer =>
                (IEnumerable<(string, long[])>)
                    [
                        .. Norm($"blocks.{layer}.norm1", c.HiddenSize),
                        .. Layer($"blocks.{layer}.attn.qkv", 3 * c.HiddenSize, c.HiddenSize),
                        .. Layer($"blocks.{layer}.attn.proj", c.HiddenSize, c.HiddenSize),
                        .. Norm($"blocks.{layer}.norm2", c.HiddenSize),
                        .. Layer($"blocks.{layer}.mlp.fc1", c.IntermediateSize, c.HiddenSize),
                        .. Layer($"blocks.{layer}.mlp.fc2", c.HiddenSize, c.IntermediateSize),
                    ]
            );
        return
        [
            .. first
                .Concat(layers)
                .Concat([.. Norm("norm", c.HiddenSize), .. Layer("head", decoderSize, c.HiddenSize)])
                .Select(one => (Prefix + one.Item1, one.Item2)),
        ];

        static (string, long[])[] Layer(string name, long rows, long columns) =>
            [(name + ".weight", [rows, columns]), (name + ".bias", [rows])];

        static (string, long[])[] Norm(string name, long size) => [(name + ".weight", [size]), (name + ".bias", [size])];
    }

    /// <summary>
    /// Standard deviation of a weight's first values: 1/√inputs of a matrix (LeCun), so that a narrow encoder tells patches apart from the
    /// first step on; of those into the residual stream by 1/√(2·layers), as in GPT-2; of positions 0.02, as in the paper's code.
    /// </summary>
    public static double InitialDeviation(string name, PictureEncoderSettings settings, long[] shape) =>
        !shape.IsMatrix() ? 0.02
        : name.EndsWith("attn.proj.weight", StringComparison.Ordinal) || name.EndsWith("fc2.weight", StringComparison.Ordinal)
            ? 1 / Math.Sqrt(2.0 * settings.NumHiddenLayers * shape[1])
        : 1 / Math.Sqrt(shape[1]);
}

using TraceDistill.Data.Pictures;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;

namespace TraceDistill.Tests.Support;

/// <summary>
/// The vectors of a picture, from the equations of a pre-norm vision transformer (arXiv 2010.11929, equations 1 to 4) in loops over
/// doubles.
/// </summary>
sealed class ReferencePictures(ModelParameters parameters)
{
    readonly PictureEncoderSettings _shape = parameters.Configuration.Pictures!;

    /// <summary>An encoder of three patches side by side and two below each other, for <see cref="TinyModel"/> and others.</summary>
    public static PictureEncoderSettings Shape { get; } =
        new()
        {
            Height = 8,
            Width = 9,
            PatchHeight = 4,
            PatchWidth = 3,
            HiddenSize = 12,
            NumHiddenLayers = 2,
            NumAttentionHeads = 3,
            IntermediateSize = 20,
        };

    /// <summary>A picture of that size of random pixels.</summary>
    public static Picture Random(int seed, PictureEncoderSettings? shape = null)
    {
        var size = shape ?? Shape;
        var pixels = new byte[size.Channels * size.Height * size.Width];
        new Random(seed).NextBytes(pixels);
        return new Picture(size.Channels, size.Height, size.Width, pixels);
    }

    /// <returns>[P][D].</returns>
    public double[][] Vectors(Picture picture)
    {
        var patches = Patches(picture).ToArray();
        var positions = Weight("pos_embed").Chunk(_shape.HiddenSize).ToArray();
        double[][] x = [.. patches.Select((patch, i) => Add(Linear(patch, "patch_embed.proj"), positions[i]))];
        for (var layer = 0; layer < _shape.NumHiddenLayers; layer++)
        {
            var name = $"blocks.{layer}.";
            double[][] qkv = [.. x.Select(row => Linear(Norm(row, name + "norm1"), name + "attn.qkv"))];
            x = [.. x.Select((row, i) => Add(row, Linear(Attend(qkv, i), name + "attn.proj")))];
            x =
            [
                .. x.Select(row =>
                    Add(row, Linear([.. Linear(Norm(row, name + "norm2"), name + "mlp.fc1").Select(Gelu)], name + "mlp.fc2"))
                ),
            ];
        }

        return [.. x.Select(row => Linear(Norm(row, "norm"), "head"))];
    }

    IEnumerable<double[]> Patches(Picture picture) =>
        from top in Enumerable.Range(0, _shape.Height / _shape.PatchHeight)
        from left in Enumerable.Range(0, _shape.Width / _shape.PatchWidth)
        select (
            from channel in Enumerable.Range(0, _shape.Channels)
            from row in Enumerable.Range(0, _shape.PatchHeight)
            from column in Enumerable.Range(0, _shape.PatchWidth)
            let y = (top * _shape.PatchHeight) + row
            let z = (left * _shape.PatchWidth) + column
            select (picture.Pixels[(channel * _shape.Height * _shape.Width) + (y * _shape.Width) + z] - 127.5) / 127.5
        ).ToArray();

    double[] Attend(double[][] qkv, int patch)
    {
        var (width, size) = (_shape.HiddenSize, _shape.HiddenSize / _shape.NumAttentionHeads);
        var mixed = new double[width];
        for (var head = 0; head < _shape.NumAttentionHeads; head++)
        {
            var start = head * size;
            double[] weights =
            [
                .. qkv.Select(other =>
                    Math.Exp(Enumerable.Range(start, size).Sum(c => qkv[patch][c] * other[width + c]) / Math.Sqrt(size))
                ),
            ];
            for (var c = start; c < start + size; c++)
            {
                mixed[c] = qkv.Zip(weights, (other, weight) => weight * other[(2 * width) + c]).Sum() / weights.Sum();
            }
        }

        return mixed;
    }

    double[] Linear(double[] x, string name) =>
        [
            .. Weight(name + ".weight")
                .Chunk(x.Length)
                .Zip(Weight(name + ".bias"), (row, bias) => row.Zip(x, (weight, value) => weight * value).Sum() + bias),
        ];

    double[] Norm(double[] x, string name)
    {
        var mean = x.Average();
        var deviation = Math.Sqrt(x.Select(value => (value - mean) * (value - mean)).Average() + 1e-6);
        return [.. x.Select((value, i) => ((value - mean) / deviation * Weight(name + ".weight")[i]) + Weight(name + ".bias")[i])];
    }

    double[] Weight(string name) => [.. parameters.Values("picture_encoder." + name).ToArray().Select(value => (double)value)];

    static double[] Add(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    static double Gelu(double x) => x * 0.5 * (1 + Erf(x / Math.Sqrt(2)));

    /// <summary>By its Taylor series: 2/√π · Σ (−1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)), exact to rounding for what a few units are.</summary>
    static double Erf(double x)
    {
        if (Math.Abs(x) > 4)
        {
            return Math.Sign(x); // erf(4) is 1 − 1.5e-8
        }

        var (term, sum) = (x, x);
        for (var n = 1; n < 100; n++)
        {
            term *= -x * x / n;
            sum += term / ((2 * n) + 1);
        }

        return 2 / Math.Sqrt(Math.PI) * sum;
    }
}

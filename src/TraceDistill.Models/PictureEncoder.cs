using TraceDistill.Data.Pictures;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Models;

// B = pictures, P = patches of a picture, E = width of the encoder, H = its heads, D = hidden size of the decoder

/// <summary>
/// Vectors of pictures that stand in a prompt as tokens do: a vision transformer (Dosovitskiy et al., arXiv 2010.11929) of pre-norm layers
/// over linear patches with learned positions, its last states normed and brought to the decoder's width by one product, as LLaVA's first
/// connector does (Liu et al., arXiv 2304.08485). Pixels are scaled to −1 … 1, dark to light. All by libtorch's own operations.
/// </summary>
/// <param name="settings">Its shape.</param>
/// <param name="weight">Gives the weights by their names.</param>
/// <param name="dtype">Of the computation: float32, or float64.</param>
sealed class PictureEncoder(PictureEncoderSettings settings, Func<string, Weight> weight, ScalarType dtype = ScalarType.Float32)
{
    /// <summary>As timm and OpenCLIP have it.</summary>
    const double NormEps = 1e-6;

    /// <summary>Vectors of some pictures.</summary>
    /// <param name="pictures">Each of the size that the settings have.</param>
    /// <param name="device">Where the weights are.</param>
    /// <returns>[B · P, D], the patches of a picture row by row, in the dtype of the computation.</returns>
    public Tensor Forward(IReadOnlyList<Picture> pictures, Device device)
    {
        using var scope = NewDisposeScope();
        var (count, patches) = (pictures.Count, settings.Patches);
        var position = Read("pos_embed"); // [1, P, E]
        var pixels = tensor(pictures.SelectMany(Patched).ToArray(), [count * patches, settings.PatchSize], device: device).Aligned();
        var x = Product(pixels.to(dtype), "patch_embed.proj"); // [B · P, E]
        x = x.view(count, patches, -1).Plus(position).view(count * patches, -1);
        for (var layer = 0; layer < settings.NumHiddenLayers; layer++)
        {
            var prefix = $"blocks.{layer}.";
            x = x.Plus(Product(Attention(Product(Norm(x, prefix + "norm1"), prefix + "attn.qkv"), count), prefix + "attn.proj"));
            x = x.Plus(Product(nn.functional.gelu(Product(Norm(x, prefix + "norm2"), prefix + "mlp.fc1")), prefix + "mlp.fc2"));
        }

        return Product(Norm(x, "norm"), "head").MoveToOuterDisposeScope();
    }

    /// <returns>[P, channels · patch height · patch width], flat, each from −1 to 1.</returns>
    IEnumerable<float> Patched(Picture picture)
    {
        for (var top = 0; top < settings.Height; top += settings.PatchHeight)
        {
            for (var left = 0; left < settings.Width; left += settings.PatchWidth)
            {
                for (var plane = 0; plane < settings.Channels; plane++)
                {
                    for (var row = top; row < top + settings.PatchHeight; row++)
                    {
                        var start = (((plane * settings.Height) + row) * settings.Width) + left;
                        for (var column = 0; column < settings.PatchWidth; column++)
                        {
                            yield return (picture.Pixels[start + column] / 127.5f) - 1;
                        }
                    }
                }
            }
        }
    }

    /// <param name="qkv">[B · P, 3 · E].</param>
    /// <returns>[B · P, E]; every patch of a picture sees all of them.</returns>
    Tensor Attention(Tensor qkv, int count)
    {
        var parts = qkv.view(count, settings.Patches, 3, settings.NumAttentionHeads, -1).permute(2, 0, 3, 1, 4).unbind(0);
        var mixed = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2]); // [B, H, P, E / H]
        return mixed.transpose(1, 2).reshape(count * settings.Patches, settings.HiddenSize);
    }

    Tensor Product(Tensor x, string name) => nn.functional.linear(x, Read(name + ".weight"), Read(name + ".bias"));

    Tensor Norm(Tensor x, string name) =>
        nn.functional.layer_norm(x, [settings.HiddenSize], Read(name + ".weight"), Read(name + ".bias"), NormEps);

    Tensor Read(string name) => weight(PictureWeights.Prefix + name).Read().to(dtype);
}

using System.ComponentModel;
using System.Text.Json.Serialization;

namespace TraceDistill.Models.Configuration;

/// <summary>
/// The encoder that makes vectors of a picture, which stand in a prompt as tokens do: a small vision transformer. In
/// <c>config.json</c> it is the block <c>picture_encoder</c>, which no other program knows.
/// </summary>
public sealed record PictureEncoderSettings
{
    /// <summary>Rows of pixels; a multiple of <see cref="PatchHeight"/>.</summary>
    [Description("Rows of pixels; pictures are shrunk or padded to that; a multiple of patch_height")]
    public required int Height { get; init; }

    /// <summary>Columns of pixels; a multiple of <see cref="PatchWidth"/>.</summary>
    [Description("Columns of pixels; a multiple of patch_width")]
    public required int Width { get; init; }

    [Description("Rows of pixels of a patch")]
    public required int PatchHeight { get; init; }

    [Description("Columns of pixels of a patch; each patch becomes a vector of the prompt")]
    public required int PatchWidth { get; init; }

    /// <value>1: gray.</value>
    [Description("Planes of colour: 1 for gray, 3 for red, green and blue")]
    public int Channels { get; init; } = 1;

    /// <value>64.</value>
    [Description("Width of the encoder")]
    public int HiddenSize { get; init; } = 64;

    /// <value>2.</value>
    [Description("Layers of the encoder, in which patches see each other")]
    public int NumHiddenLayers { get; init; } = 2;

    /// <value>4.</value>
    [Description("Heads of attention of a layer")]
    public int NumAttentionHeads { get; init; } = 4;

    /// <value>256.</value>
    [Description("Width of a layer's MLP")]
    public int IntermediateSize { get; init; } = 256;

    /// <summary>P: patches, and so vectors, of a picture.</summary>
    [JsonIgnore]
    public int Patches => Height / PatchHeight * (Width / PatchWidth);

    /// <summary>Numbers of a patch.</summary>
    [JsonIgnore]
    public int PatchSize => Channels * PatchHeight * PatchWidth;

    /// <summary>The encoder in words.</summary>
    [JsonIgnore]
    public string Text =>
        $"pictures of {Height} × {Width} pixels ({(Channels == 1 ? "gray" : "colour")}) as {Patches} vectors, "
        + $"by {NumHiddenLayers} layers of {HiddenSize}";
}

using TraceDistill.Models.Configuration;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Models.Tests.Configuration;

public sealed class PictureEncoderSettingsTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    static ModelArchitecture Architecture =>
        new()
        {
            HiddenSize = 32,
            NumHiddenLayers = 1,
            NumAttentionHeads = 2,
            MaxPositionEmbeddings = 50,
            PictureEncoder = ReferencePictures.Shape,
        };

    [Fact]
    public void Save_ModelThatLooksAtPictures_IsReadAgain()
    {
        Architecture.Configure(100, [1]).Save(_folder.Path);

        Assert.Equal(ReferencePictures.Shape, ModelConfiguration.Load(_folder.Path).Pictures);
    }

    public static TheoryData<string, string> Wrong =>
        new()
        {
            { "channels", "picture_encoder.channels is 2 but must be 1 (gray) or 3 (colours)" },
            { "height", "picture_encoder.height is 7 and no multiple of patch_height 4" },
            { "width", "picture_encoder.width is 0 but must be positive" },
            { "heads", "picture_encoder.hidden_size is 12 and no multiple of num_attention_heads 5" },
            { "layers", "picture_encoder.num_hidden_layers is -1 but must be from 0 to 4096" },
            { "patches", "picture_encoder makes 50 vectors of a picture, and max_position_embeddings is 50: take larger patches, or more" },
        };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Configure_EncoderThatCannotBe_NamesTheField(string field, string message)
    {
        var shape = ReferencePictures.Shape;
        var wrong = field switch
        {
            "channels" => shape with { Channels = 2 },
            "height" => shape with { Height = 7 },
            "width" => shape with { Width = 0 },
            "heads" => shape with { NumAttentionHeads = 5 },
            "layers" => shape with { NumHiddenLayers = -1 },
            _ => shape with { Height = 20, Width = 30 },
        };

        var error = Assert.Throws<InvalidInputException>(() => (Architecture with { PictureEncoder = wrong }).Configure(100, []));

        Assert.StartsWith($"architecture: {message}", error.Message);
    }

    public void Dispose() => _folder.Dispose();
}

using TraceDistill.Data.Pictures;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Inference.Weights;

/// <summary>
/// Makes the vectors of a prompt's picture, once for a sequence: on the CPU, in float32, whatever the tokens are computed by. A picture is
/// encoded by itself, so that its vectors are the same to the bit whatever else is asked. Thread-safe.
/// </summary>
sealed class PictureReader : IDisposable
{
    readonly PictureEncoderSettings _settings;
    readonly Dictionary<string, Weight> _weights;
    readonly PictureEncoder _encoder;

    PictureReader(PictureEncoderSettings settings, Dictionary<string, Weight> weights)
    {
        (_settings, _weights) = (settings, weights);
        _encoder = new PictureEncoder(settings, name => weights[name]);
    }

    /// <param name="configuration">The model's.</param>
    /// <param name="read">Copies values of a named weight, from its first one on.</param>
    /// <returns>Null for a model that reads text alone.</returns>
    public static PictureReader? Of(ModelConfiguration configuration, Action<string, float[]> read)
    {
        if (configuration.Pictures is not { } settings)
        {
            return null;
        }

        using var scope = NewDisposeScope();
        var weights = new Dictionary<string, Weight>();
        foreach (var (name, shape) in PictureWeights.Shapes(settings, configuration.HiddenSize))
        {
            var values = new float[shape.ElementCount()];
            read(name, values);
            weights.Add(name, new Weight(tensor(values, shape).Aligned().DetachFromDisposeScope(), Gradient: null));
        }

        return new PictureReader(settings, weights);
    }

    /// <returns>[patches, hidden size] flat.</returns>
    /// <exception cref="ArgumentException">The picture is of another size than the model looks at.</exception>
    public float[] Read(Picture picture)
    {
        if ((picture.Channels, picture.Height, picture.Width) != (_settings.Channels, _settings.Height, _settings.Width))
        {
            throw new ArgumentException(
                $"a picture of {picture.Channels} × {picture.Height} × {picture.Width} for a model that looks at {_settings.Channels} × "
                    + $"{_settings.Height} × {_settings.Width}",
                nameof(picture)
            );
        }

        // On one core: with several, libtorch would cut products by their number, and round them otherwise.
        float[] vectors = [];
        new Cores(1).Each(1, _ =>
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            vectors = _encoder.Forward([picture], CPU).data<float>().ToArray();
        });
        return vectors;
    }

    public void Dispose()
    {
        foreach (var weight in _weights.Values)
        {
            weight.Stored.Dispose();
        }
    }
}

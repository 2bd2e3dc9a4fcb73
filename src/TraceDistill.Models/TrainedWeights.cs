using TraceDistill.Models.Adapters;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;

namespace TraceDistill.Models;

/// <summary>
/// Which weights a training changes, and where each one's gradient and moments lie in buffers that
/// hold nothing of the frozen ones. Where all are trained, such a buffer is laid out like the weights.
/// </summary>
public sealed class TrainedWeights
{
    readonly Dictionary<string, long> _offsets;

    TrainedWeights(IDecoderWeights model, NamedWeights weights, Func<string, bool> isTrained)
    {
        (Model, Weights) = (model, weights);
        (_offsets, Count) = Layout(Weights.Names.Where(isTrained).Select(name => (name, Weights.ShapeOf(name))));
    }

    TrainedWeights(ModelParameters model)
    {
        (Model, Weights, Count) = (model, model, model.Flat.Count);
        _offsets = model.Names.ToDictionary(name => name, model.OffsetOf);
    }

    public IDecoderWeights Model { get; }

    /// <summary>Trained in place of the model's own weights; null where those are.</summary>
    public LoraAdapter? Adapter => Weights as LoraAdapter;

    /// <summary>The trained weights and, where only some of the model's are trained, the frozen ones among them.</summary>
    public NamedWeights Weights { get; }

    /// <summary>Names of the trained weights in storage order.</summary>
    public IReadOnlyCollection<string> Names => _offsets.Keys;

    /// <summary>True where our own kernels update them.</summary>
    public bool TakesKernels => Weights.Flat.TakesKernels;

    /// <summary>Number of trained weights; of a model that shares a storage, all of that storage's.</summary>
    public long Count { get; }

    /// <summary>Number of weights, trained and frozen ones, of model and adapter.</summary>
    public long Total => Model.Count + (Adapter?.Count ?? 0);

    /// <summary>All weights of a model. Of one that shares a storage, gradients lie as weights do there.</summary>
    public static TrainedWeights All(ModelParameters model) => new(model);

    /// <summary>All weights of several models together.</summary>
    public static TrainedWeights All(TaskParameters tasks) => new(tasks, tasks, _ => true);

    /// <summary>All weights of a model but the <paramref name="frozen"/> ones.</summary>
    public static TrainedWeights AllBut(ModelParameters model, IReadOnlySet<string> frozen) =>
        new(model, model, name => !frozen.Contains(name));

    /// <summary>Those of an adapter; the model's own stay as they are.</summary>
    public static TrainedWeights Of(LoraAdapter adapter) => new(adapter.Model, adapter, _ => true);

    /// <summary>None: the model runs forward only.</summary>
    public static TrainedWeights None(IDecoderWeights model) => new(model, model.Vectors, _ => false);

    /// <summary>Takes the model, and an adapter beside it, to another device.</summary>
    public void MoveTo(TorchSharp.torch.Device device)
    {
        Model.MoveTo(device);
        Weights.MoveTo(device);
    }

    /// <summary>Where weights begin that lie one after another, and how many elements all have.</summary>
    internal static (Dictionary<string, long> Offsets, long Count) Layout(IEnumerable<(string Name, long[] Shape)> weights)
    {
        var (offsets, count) = (new Dictionary<string, long>(), 0L);
        foreach (var (name, shape) in weights)
        {
            offsets.Add(name, count);
            count += shape.ElementCount();
        }

        return (offsets, count);
    }

    /// <summary>Returns whether the named weight is trained.</summary>
    public bool Contains(string name) => _offsets.ContainsKey(name);

    /// <summary>First element of the named weight's gradient in a buffer of <see cref="Count"/>; null where it is frozen.</summary>
    public long? OffsetOf(string name) => _offsets.TryGetValue(name, out var offset) ? offset : null;
}

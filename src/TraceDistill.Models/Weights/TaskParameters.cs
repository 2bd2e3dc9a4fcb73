using TraceDistill.Models.Configuration;
using static TorchSharp.torch;

namespace TraceDistill.Models.Weights;

/// <summary>
/// The weights of several classifiers whose lower layers are one: each task's model is a view, in which the embedding and the layers below
/// <see cref="Shared"/> are the same memory for all, and the layers from there on, the norm behind them and the head are its own.
/// </summary>
public sealed class TaskParameters : NamedWeights, IDecoderWeights
{
    /// <param name="tasks">Names, and configurations that differ in nothing but their heads.</param>
    /// <param name="shared">Layers that all share, from below; where that is all of them, the norm is shared too.</param>
    public TaskParameters(IReadOnlyList<(string Name, ModelConfiguration Configuration)> tasks, int shared)
        : base(Shapes(tasks, shared))
    {
        (Shared, Configuration) = (shared, tasks[0].Configuration);
        Models =
        [
            .. tasks.Select(task => new ModelParameters(task.Configuration, this, name =>
                NameIn(name, task.Name, shared, task.Configuration.NumHiddenLayers)
            )),
        ];
    }

    /// <summary>The tasks' models, in their order.</summary>
    public IReadOnlyList<ModelParameters> Models { get; }

    /// <summary>Layers that all share.</summary>
    public int Shared { get; }

    /// <summary>That of the first task's model: the others differ in their heads.</summary>
    public ModelConfiguration Configuration { get; }

    public TensorDtype Dtype => Models[0].Dtype;

    public NamedWeights Vectors => this;

    public Tensor Matrices => Flat.Vector;

    public TensorDtype DtypeOf(string name) => Dtype;

    /// <summary>Behind the name, so that optimizers find the weights of layers by what their names begin with.</summary>
    static string NameIn(string name, string task, int shared, int layers) => IsShared(name, shared, layers) ? name : $"{name}@{task}";

    static bool IsShared(string name, int shared, int layers) =>
        name.Split('.') switch
        {
            ["model", "embed_tokens", ..] => true,
            ["model", "layers", var layer, ..] => int.Parse(layer, System.Globalization.CultureInfo.InvariantCulture) < shared,
            ["model", "norm", ..] => shared >= layers,
            _ => false,
        };

    /// <summary>Those of the first task, then what the others have of their own: a task's layers lie together, as in its model.</summary>
    static IEnumerable<(string Name, long[] Shape)> Shapes(
        IReadOnlyList<(string Name, ModelConfiguration Configuration)> tasks,
        int shared
    ) =>
        tasks
            .SelectMany(task =>
                ModelParameters
                    .Shapes(task.Configuration)
                    .Select(weight => (NameIn(weight.Name, task.Name, shared, task.Configuration.NumHiddenLayers), weight.Shape))
            )
            .DistinctBy(weight => weight.Item1);
}

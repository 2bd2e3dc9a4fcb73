using TraceDistill.Models;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;

namespace TraceDistill.Training;

/// <summary>
/// An average of the student's weights that teaches it (mean teacher, Tarvainen and Valpola, arXiv 1703.01780, equation 3): before the
/// first step it is the student itself.
/// </summary>
public sealed class SelfTeacher : IDisposable
{
    readonly WeightAverage _average;

    /// <param name="trained">The student's weights, where they are trained; those of its adapter, where that is.</param>
    /// <param name="model">A model of its shape, there already; its weights, or its adapter's, come to be the average.</param>
    /// <param name="decay">Of the average.</param>
    public SelfTeacher(TrainedWeights trained, TeacherModel model, double decay)
    {
        (Model, _average) = (model, new WeightAverage(trained, decay, model.Adapter ?? (NamedWeights)model.Weights));
        Model.Refresh();
    }

    /// <summary>Owned by the caller.</summary>
    public TeacherModel Model { get; }

    /// <inheritdoc cref="WeightAverage.Add"/>
    public void Add(long update)
    {
        _average.Add(update);
        Model.Refresh();
    }

    /// <inheritdoc cref="WeightOptimizer.Visit"/>
    public void Visit(BytesVisitor visit) => _average.Visit(visit);

    public void Dispose() => _average.Dispose();
}

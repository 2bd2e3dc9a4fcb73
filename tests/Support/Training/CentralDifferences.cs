using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Tests.Support;

/// <summary>Slopes of a function of the weights of a decoder in float64.</summary>
static class CentralDifferences
{
    const double Step = 1e-5;

    /// <summary>(f(w + h·d) − f(w − h·d)) / 2h, with the weights as they were afterwards.</summary>
    /// <param name="reference">Has the weights w.</param>
    /// <param name="parameters">The model that it was made of.</param>
    /// <param name="direction">d, in the order of the model's weights.</param>
    /// <param name="function">f.</param>
    public static double Along(ReferenceLlama reference, ModelParameters parameters, double[] direction, Func<double> function) =>
        Of(step => Move(reference, parameters, direction, step), function);

    /// <param name="move">Moves what the function depends on by a step.</param>
    /// <param name="function">f.</param>
    public static double Of(Action<double> move, Func<double> function)
    {
        move(Step);
        var up = function();
        move(-2 * Step);
        var down = function();
        move(Step);
        return (up - down) / (2 * Step);
    }

    /// <summary>Holds a gradient against differences along some random directions of signs.</summary>
    /// <param name="gradient">Of all weights.</param>
    /// <param name="difference">Of the function along a direction.</param>
    /// <param name="tolerance">Relative to the gradient's length.</param>
    public static void Check(float[] gradient, Func<double[], double> difference, double tolerance)
    {
        var length = Math.Sqrt(gradient.Sum(slope => (double)slope * slope));
        foreach (var seed in Enumerable.Range(0, 8))
        {
            var random = new Random(seed);
            double[] direction = [.. gradient.Select(_ => random.Next(2) * 2 - 1.0)];
            var slope = direction.Zip(gradient, (sign, value) => sign * value).Sum();
            Xunit.Assert.Equal(difference(direction), slope, tolerance * length * Math.Sqrt(direction.Length));
        }
    }

    static void Move(ReferenceLlama reference, ModelParameters parameters, double[] direction, double step)
    {
        foreach (var name in parameters.Names)
        {
            using var scope = NewDisposeScope();
            var first = (int)parameters.OffsetOf(name);
            double[] mine = [.. direction[first..(first + parameters.Values(name).Length)].Select(value => step * value)];
            reference.Weight(name).add_(tensor(mine, parameters.ShapeOf(name)));
        }
    }
}

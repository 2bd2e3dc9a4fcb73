namespace TraceDistill.Training.Models;

// C = columns of the result, K = inputs

/// <summary>
/// Linear layers of one input whose weights lie next to each other, so that one matrix product serves all of them: q, k and v; gate and up;
/// or a single one.
/// </summary>
sealed class FusedLinear
{
    /// <param name="prefix">What stands before the modules' names, such as <c>model.layers.0.self_attn.</c></param>
    /// <param name="inner">K.</param>
    /// <param name="modules">Last part of each name, and its columns.</param>
    /// <param name="weights">Which of them are trained.</param>
    public FusedLinear(string prefix, int inner, (string Name, int Columns)[] modules, TrainedWeights weights)
    {
        Inner = inner;
        var parts = new List<LinearModule>();
        var trained = new List<TrainedRows>();
        foreach (var (name, columns) in modules)
        {
            parts.Add(new LinearModule(prefix + name, Columns, columns, inner));
            if (weights.OffsetOf(parts[^1].Weight) is { } offset)
            {
                Append(trained, new TrainedRows(Columns, columns, offset), inner);
            }

            Columns += columns;
        }

        (Modules, Trained) = (parts, trained);
    }

    public IReadOnlyList<LinearModule> Modules { get; }

    /// <summary>Name of the first of the weights that make W, [C, K].</summary>
    public string Weight => Modules[0].Weight;

    /// <summary>C.</summary>
    public int Columns { get; }

    /// <summary>K.</summary>
    public int Inner { get; }

    /// <summary>The rows of W that are trained, as few stretches as their gradients allow.</summary>
    public IReadOnlyList<TrainedRows> Trained { get; }

    static void Append(List<TrainedRows> trained, TrainedRows rows, int inner)
    {
        if (trained.Count > 0 && trained[^1] is var last && last.First + last.Count == rows.First && last.Offset + (long)last.Count * inner == rows.Offset)
        {
            trained[^1] = last with { Count = last.Count + rows.Count };
        }
        else
        {
            trained.Add(rows);
        }
    }
}

/// <summary>One of the layers that a <see cref="FusedLinear"/> puts together.</summary>
/// <param name="Name">Hugging Face's, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="First">Its first column in the result.</param>
/// <param name="Columns">Its outputs.</param>
/// <param name="Inner">Its inputs.</param>
readonly record struct LinearModule(string Name, int First, int Columns, int Inner)
{
    public string Weight => Name + ".weight";

    public string Bias => Name + ".bias";
}

/// <summary>Rows of a weight matrix that are trained.</summary>
/// <param name="First">The first of them.</param>
/// <param name="Count">How many.</param>
/// <param name="Offset">Where their gradient begins.</param>
readonly record struct TrainedRows(int First, int Count, long Offset);

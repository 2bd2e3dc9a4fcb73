using System.Numerics.Tensors;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;

namespace TraceDistill.Training.Distillation;

/// <summary>A student's first weights from those of a larger model.</summary>
/// <remarks>
/// Layers are taken at even distances, as DistilBERT took every second one of BERT's (Sanh et al., arXiv 1910.01108, section 3);
/// so are heads, a group of queries with its key and value, and channels of a recurrence's state. Of the residual stream and of the
/// MLP the first channels are kept.
/// </remarks>
static class StudentInitialization
{
    /// <summary>Weights that are all numbers: a training of others could only end with nothing learned.</summary>
    /// <param name="weights">Disposed of where they are not.</param>
    /// <param name="source">The model directory that they are from.</param>
    /// <exception cref="InvalidInputException">One is NaN or infinite.</exception>
    public static T Finite<T>(T weights, string source)
        where T : IDecoderWeights
    {
        var values = new float[1 << 16];
        foreach (var name in weights.Names)
        {
            var count = weights.ShapeOf(name).ElementCount();
            for (long first = 0; first < count; first += values.Length)
            {
                var piece = values.AsSpan(0, (int)Math.Min(values.Length, count - first));
                weights.Read(name, first, piece);
                if (!TensorPrimitives.IsFiniteAll<float>(piece))
                {
                    weights.Dispose();
                    throw new InvalidInputException($"{source}: {name} has values that are not finite: its weights are damaged");
                }
            }
        }

        return weights;
    }

    /// <summary>An architecture with what a recurrent source says of it unless it is given.</summary>
    /// <exception cref="InvalidInputException">It names another family.</exception>
    public static ModelArchitecture Complete(ModelArchitecture architecture, ModelConfiguration source, string origin)
    {
        var type = source.Family.ModelType();
        if (architecture.ModelType is { } other && other != type)
        {
            var heads = source.Recurrence is null && architecture.NumAttentionHeads is null ? ", and give num_attention_heads" : "";
            throw new InvalidInputException(
                $"architecture: model_type is {other}, and the student takes its weights from {origin}, "
                    + $"a {type} model: leave it out{heads}"
            );
        }

        return source.Recurrence is not { } recurrence
            ? architecture
            : architecture with
            {
                ModelType = type,
                StateSize = architecture.StateSize ?? (int)Math.Min(recurrence.StateSize, 2L * architecture.HiddenSize),
                ConvKernel = architecture.ConvKernel ?? recurrence.ConvKernel,
            };
    }

    /// <summary>
    /// The student's shape with what it has to share with its source: family, biases,
    /// rotations, norms, and of each layer that it takes the kind.
    /// </summary>
    public static ModelConfiguration Adopt(ModelConfiguration shape, ModelConfiguration source) =>
        shape with
        {
            Family = source.Family,
            AttentionBias = source.AttentionBias,
            VocabSize = source.VocabSize,
            RopeTheta = source.RopeTheta,
            RopeScaling = AdoptScaling(source),
            RmsNormEps = source.RmsNormEps,
            SlidingWindow = source.SlidingWindow,
            SlidingLayers = source.SlidingLayers is { } sliding ? [.. Taken(shape, source).Select(layer => sliding[layer])] : null,
            NoRopeLayers =
            [
                .. Taken(shape, source).Index().Where(layer => source.NoRopeLayers.Contains(layer.Item)).Select(layer => layer.Index),
            ],
            PartialRotaryFactor = source.PartialRotaryFactor,
            LocalRopeTheta = source.LocalRopeTheta,
            QueryPreAttnScalar = source.QueryPreAttnScalar,
            AttentionSoftCap = source.AttentionSoftCap,
            LogitSoftCap = source.LogitSoftCap,
            Experts = null,
            Remark =
                shape.TieWordEmbeddings && !source.TieWordEmbeddings
                    ? "init_from: its output projection (lm_head) is left out, for the student's "
                        + "is the embedding; architecture: { tie_word_embeddings: false } takes it"
                    : source.Remark,
        };

    /// <param name="student">Written.</param>
    /// <param name="source">The larger model.</param>
    /// <param name="origin">Its folder, for errors.</param>
    /// <exception cref="InvalidInputException">The student is larger in some respect, or its heads are of another kind.</exception>
    public static void Copy(ModelParameters student, ModelParameters source, string origin)
    {
        var (s, t) = (student.Configuration, source.Configuration);
        Ensure(s, t, origin);
        var (queries, keys) = s.Recurrence is null ? Heads(s, t) : ([], []);
        int[] states = s.Recurrence is { } recurrence ? States(recurrence.StateSize, t.Recurrence!.StateSize) : [];
        int[] hidden = First(s.HiddenSize),
            gated = First(s.IntermediateSize),
            within = First(s.HeadDim);
        var isWhole = s.Traits.QueryKeyNorms == QueryKeyNorms.OfWidth;
        foreach (var name in student.Names.Where(name => !ModelParameters.IsOfPictures(name)))
        {
            var (rows, columns) = name.Split('.')[^2] switch
            {
                "embed_tokens" or "lm_head" => (First(s.VocabSize), hidden),
                "q_proj" => (queries, hidden),
                "k_proj" or "v_proj" => (keys, hidden),
                "z_proj" or "h_proj" => (states, hidden),
                "o_proj" => (hidden, s.Recurrence is null ? queries : states),
                "conv" => (hidden, First(s.Recurrence!.ConvKernel)),
                "gate_proj" or "up_proj" => (gated, hidden),
                "down_proj" => (hidden, gated),
                "q_norm" => (isWhole ? queries : within, within),
                "k_norm" => (isWhole ? keys : within, within),
                "qkv_proj" => ([.. queries, .. From(t.QuerySize, keys), .. From(t.QuerySize + t.KeyValueSize, keys)], hidden),
                "gate_up_proj" => ([.. gated, .. From(t.IntermediateSize, gated)], hidden),
                _ => (hidden, hidden),
            };
            var from = SourceName(name, s.NumHiddenLayers, t.NumHiddenLayers);
            Take(source.Values(from), source.ShapeOf(from), student.Values(name), rows, columns);
        }

        // An encoder of pictures is not cut: what is of the same shape is taken, and what is not stays as it was drawn.
        foreach (var name in student.Names.Where(ModelParameters.IsOfPictures).Intersect(source.Names))
        {
            if (source.ShapeOf(name).SequenceEqual(student.ShapeOf(name)))
            {
                source.Values(name).CopyTo(student.Values(name));
            }
        }
    }

    /// <returns>The channels of the queries that are taken, and of the keys.</returns>
    static (int[] Queries, int[] Keys) Heads(ModelConfiguration s, ModelConfiguration t)
    {
        int[] heads = [.. Enumerable.Range(0, s.NumKeyValueHeads).Select(head => Spread(head, s.NumKeyValueHeads, t.NumKeyValueHeads))];
        var (queriesPerHead, sourceQueries) = (s.NumAttentionHeads / s.NumKeyValueHeads, t.NumAttentionHeads / t.NumKeyValueHeads);
        int[] keys = Channels(heads, s.HeadDim);
        int[] queries = Channels(
            [
                .. heads.SelectMany(head =>
                    Enumerable
                        .Range(0, queriesPerHead)
                        .Select(query => (head * sourceQueries) + Spread(query, queriesPerHead, sourceQueries))
                ),
            ],
            s.HeadDim
        );
        return (queries, keys);
    }

    static int[] States(int count, int all) => [.. Enumerable.Range(0, count).Select(state => Spread(state, count, all))];

    static void Take(ReadOnlySpan<float> source, long[] shape, Span<float> destination, int[] rows, int[] columns)
    {
        if (shape.Length == 1)
        {
            for (var row = 0; row < rows.Length; row++)
            {
                destination[row] = source[rows[row]];
            }

            return;
        }

        var width = (int)(shape.ElementCount() / shape[0]);
        for (var row = 0; row < rows.Length; row++)
        {
            var from = source.Slice(rows[row] * width, width);
            for (var column = 0; column < columns.Length; column++)
            {
                destination[(row * columns.Length) + column] = from[columns[column]];
            }
        }
    }

    static string SourceName(string name, int layers, int sourceLayers)
    {
        var parts = name.Split('.');
        if (parts[1] == "layers")
        {
            parts[2] = $"{Spread(int.Parse(parts[2]), layers, sourceLayers)}";
        }

        return string.Join('.', parts);
    }

    /// <summary>
    /// Of <paramref name="all"/> things at even distances, which the <paramref name="i"/>-th of <paramref name="count"/> is.
    /// </summary>
    static int Spread(int i, int count, int all) => (int)((long)i * all / count);

    static int[] Channels(int[] heads, int headDim) => [.. heads.SelectMany(head => Enumerable.Range(head * headDim, headDim))];

    /// <summary>The source's layer for each of the student's; the first one where the source has too few, which is refused later.</summary>
    static IEnumerable<int> Taken(ModelConfiguration shape, ModelConfiguration source) =>
        Enumerable.Range(0, shape.NumHiddenLayers).Select(layer => Spread(layer, shape.NumHiddenLayers, source.NumHiddenLayers));

    /// <summary>The source's rotations, whatever the student's longest sequence is.</summary>
    static RopeScaling AdoptScaling(ModelConfiguration source) =>
        source.RopeScaling.Type != RopeType.LongRope
            ? source.RopeScaling
            : source.RopeScaling with
            {
                OriginalMaxPositionEmbeddings = source.RopeScaling.OriginalMaxPositionEmbeddings ?? source.MaxPositionEmbeddings,
                AttentionFactor = RotaryFrequencies.Of(source).Magnitude,
            };

    static int[] From(int start, int[] channels) => [.. channels.Select(channel => start + channel)];

    static int[] First(int count) => [.. Enumerable.Range(0, count)];

    static void Ensure(ModelConfiguration s, ModelConfiguration t, string origin)
    {
        var problems = new List<string>();
        if (t.Experts is not null)
        {
            problems.Add($"it has experts ({t.Family.ModelType()}), which cannot be cut");
        }

        AtMost("hidden_size", s.HiddenSize, t.HiddenSize);
        AtMost("intermediate_size", s.IntermediateSize, t.IntermediateSize);
        AtMost("num_hidden_layers", s.NumHiddenLayers, t.NumHiddenLayers);
        if (s.Recurrence is { } recurrence)
        {
            AtMost("state_size", recurrence.StateSize, t.Recurrence!.StateSize);
            if (recurrence.ConvKernel != t.Recurrence.ConvKernel)
            {
                problems.Add($"conv_kernel is {recurrence.ConvKernel} and has to be its {t.Recurrence.ConvKernel}");
            }
        }
        else
        {
            AtMost("num_key_value_heads", s.NumKeyValueHeads, t.NumKeyValueHeads);
            AtMost("query heads of a key", s.NumAttentionHeads / s.NumKeyValueHeads, t.NumAttentionHeads / t.NumKeyValueHeads);
            if (s.HeadDim != t.HeadDim)
            {
                problems.Add($"head_dim is {s.HeadDim} and has to be its {t.HeadDim}");
            }
        }

        if (!s.TieWordEmbeddings && t.TieWordEmbeddings)
        {
            problems.Add("tie_word_embeddings is false, and it has no lm_head to take");
        }

        if (problems.Count > 0)
        {
            throw new InvalidInputException($"init_from: the student does not fit into {origin}: {string.Join("; ", problems)}");
        }

        void AtMost(string name, int wanted, int there)
        {
            if (wanted > there)
            {
                problems.Add($"{name} is {wanted} and it has {there}");
            }
        }
    }
}

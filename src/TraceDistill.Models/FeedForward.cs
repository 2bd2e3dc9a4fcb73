using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Models;

// N = tokens, D = hidden, F = intermediate size, E = experts, k = experts of a token

/// <summary>down(act(gate(x)) ∘ up(x)).</summary>
/// <param name="down">The name of the last product.</param>
/// <param name="gateUp">Names of the first ones: gate, then up; or both as one.</param>
sealed class GatedMlp(Parameters parameters, string down, params string[] gateUp)
{
    readonly Linear _gateUp = new(parameters, gateUp);
    readonly Linear _down = new(parameters, down);
    readonly GateActivation _gate = parameters.Shape.Traits.Gate;

    /// <param name="x">[N, D].</param>
    /// <param name="residual">[N, D], to be added to.</param>
    public Tensor Apply(Tensor x, PassNoise? noise, Tensor? residual = null) =>
        _down.Apply(GatedActivation.Apply(_gateUp.Apply(x, noise), _gate), noise, residual); // [N, 2·F] → [N, F] → [N, D]
}

/// <summary>
/// Experts, k of which each token goes to: Σ wᵢ·mlpᵢ(x) over the k largest of softmax(router·x), w being those
/// probabilities, or these made to sum to 1 (Jiang et al., "Mixtral of Experts", arXiv 2401.04088, section 2.1).
/// </summary>
/// <remarks>
/// The router's product and its softmax are in float32, whatever the precision of other
/// products: a tie decided otherwise is another expert.
/// </remarks>
sealed class ExpertLayer
{
    readonly ExpertSettings _settings;
    readonly LinearMatrix _router;
    readonly GatedMlp[] _experts;

    /// <param name="layer">The beginning of the layer's names.</param>
    public ExpertLayer(Parameters parameters, string layer)
    {
        var names = parameters.Shape.Traits.Experts!;
        var block = layer + names.Block;
        _settings = parameters.Shape.Experts!;
        _router = parameters.Matrix(block + ".gate.weight", isRounded: false);
        _experts =
        [
            .. Enumerable
                .Range(0, _settings.NumExperts)
                .Select(i => $"{block}.experts.{i}.")
                .Select(expert => new GatedMlp(parameters, expert + names.Down, expert + names.Gate, expert + names.Up)),
        ];
    }

    /// <param name="x">[N, D].</param>
    /// <param name="residual">[N, D], to be added to; null for zero.</param>
    /// <param name="index">Of the layer.</param>
    /// <param name="balance">Takes the layer's load-balancing loss.</param>
    public Tensor Apply(Tensor x, PassNoise? noise, Tensor? residual, int index, RouterBalance? balance)
    {
        if (x.shape[0] == 0)
        {
            return (residual ?? x).alias();
        }

        using var scope = NewDisposeScope();
        var probabilities = _router.Apply(x.Wide()).softmax(-1); // [N, E]
        Tensor chosen;
        using (no_grad())
        {
            chosen = probabilities.topk(_settings.NumExpertsPerToken, 1).indexes; // [N, k]
        }

        var weights = probabilities.gather(1, chosen); // [N, k]
        weights = (_settings.NormalizesTopK ? weights / weights.sum(1, keepdim: true) : weights).reshape(-1).to(x.dtype);
        var assigned = chosen.cpu().data<long>().ToArray();
        var (rows, places, counts) = Assignments(assigned);
        var (results, first) = (new List<Tensor>(), 0);
        for (var expert = 0; expert < _experts.Length; expert++)
        {
            if (counts[expert] > 0)
            {
                var mine = rows.AsSpan(first, counts[expert]).ToArray();
                var inputs = x.index_select(0, tensor(mine, dtype: ScalarType.Int64, device: x.device));
                results.Add(_experts[expert].Apply(inputs, noise?.Of(mine)));
                first += counts[expert];
            }
        }

        var order = tensor(places, dtype: ScalarType.Int64, device: x.device);
        var outputs = cat(results, 0) * weights.index_select(0, order).unsqueeze(1); // [N·k, D] by expert
        var y = (residual ?? zeros_like(x)).PlusRows(tensor(rows, dtype: ScalarType.Int64, device: x.device), outputs);
        if (balance is not null)
        {
            y = balance.Attach(index, y, probabilities, assigned);
        }

        return y.MoveToOuterDisposeScope();
    }

    /// <summary>The tokens of each expert, one expert after the other.</summary>
    /// <param name="chosen">[N·k] experts of the first token, of the second, ….</param>
    /// <returns>[N·k] tokens, [N·k] their places in <paramref name="chosen"/>, and [E] how many tokens an expert has.</returns>
    (int[] Rows, int[] Places, int[] Counts) Assignments(long[] chosen)
    {
        var k = _settings.NumExpertsPerToken;
        int[] places = [.. Enumerable.Range(0, chosen.Length).OrderBy(place => chosen[place])]; // stable
        var counts = new int[_experts.Length];
        foreach (var expert in chosen)
        {
            counts[expert]++;
        }

        return ([.. places.Select(place => place / k)], places, counts);
    }
}

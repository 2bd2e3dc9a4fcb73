using TraceDistill.Models.Tensors;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;
using static TorchSharp.torch;

namespace TraceDistill.Training.Head;

/// <summary>The weighted sum of some objectives over chunks of tokens, and the sum of each by itself.</summary>
sealed class WeightedObjectives(StepObjectives objectives)
{
    readonly List<Tensor> _sums = [];
    StepDiagnostics? _measured;
    long _tokens,
        _softTokens;

    /// <summary>The loss of a chunk, summed over its tokens.</summary>
    /// <returns>A scalar of float64 that has gradients.</returns>
    public Tensor Evaluate(StudentRows student, TargetRows targets)
    {
        var none = zeros([], dtype: ScalarType.Float64, device: student.Drawn.device);
        var (loss, sums) = (none, new List<Tensor>());
        foreach (var (objective, weight, softWeight) in objectives.Terms)
        {
            var sum = none;
            if (!objective.NeedsSoftTargets)
            {
                var each = Each(objective); // [R]
                sum = each.sum();
                loss = loss.Plus(Weighted(sum, weight));
                if (softWeight != weight && targets.SoftTokens > 0)
                {
                    loss = loss.Plus((targets.SoftTokens == targets.Rows ? sum : each.dot(targets.HasSoft)).Times(softWeight - weight));
                }
            }
            else if (targets.SoftTokens > 0)
            {
                sum = Each(objective).dot(targets.HasSoft);
                loss = loss.Plus(Weighted(sum, softWeight));
            }

            sums.Add(sum);
        }

        if (!loss.requires_grad)
        {
            // No objective has anything to say here, and the way back is gone all the same.
            loss = loss.Plus(student.LogPartition.narrow(0, 0, 1).sum().Times(0));
        }

        if (objectives.Measures)
        {
            var measured = StepDiagnostics.Of(student, targets, sums);
            _measured = _measured?.Plus(measured) ?? measured;
        }

        using var noGrad = no_grad();
        var all = stack([loss, .. sums]);
        _sums.Add(all.DetachFromDisposeScope());
        _tokens += targets.Rows;
        _softTokens += objectives.NeedsSoftTargets ? targets.SoftTokens : 0;
        return loss;

        Tensor Each(TokenObjective objective) => objective.Loss(student, targets, objectives.At).to(ScalarType.Float64);
    }

    /// <summary>The sums over all chunks; to be called once.</summary>
    public LossTotals Totals()
    {
        using var scope = NewDisposeScope();
        var terms = objectives.Terms;
        var totals = new double[1 + terms.Count];
        if (_sums.Count > 0)
        {
            stack(_sums).sum(dim: 0).cpu().data<double>().CopyTo(totals);
        }

        _sums.ForEach(sums => sums.Dispose());
        return new LossTotals(
            totals[0],
            [
                .. terms.Select(
                    (term, i) =>
                        new TermTotal(term.Name, totals[1 + i], term.Objective.NeedsSoftTargets ? _softTokens : _tokens)
                        {
                            SquaredGradient = _measured?.Products[i * (terms.Count + 1)],
                        }
                ),
            ],
            _tokens,
            _softTokens
        )
        {
            Measured = _measured,
        };
    }

    static Tensor Weighted(Tensor sum, double weight) => weight == 1 ? sum : sum.Times(weight);
}

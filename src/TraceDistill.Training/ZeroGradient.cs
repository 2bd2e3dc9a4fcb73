using TraceDistill.Models;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training;

/// <summary>A gradient that is 0 in every trainable parameter before anything was learned.</summary>
static class ZeroGradient
{
    /// <summary>Returns whether a later step may have a gradient where this one has none.</summary>
    /// <param name="objectives">Of the step.</param>
    /// <param name="totals">What they came to.</param>
    public static bool MayPass(StepObjectives objectives, LossTotals totals)
    {
        // Weights that grow from 0; tokens without soft targets, or micro-batches without sequences to compare; a target that starts as the
        // student and leaves it.
        string[] names = [.. objectives.Terms.Select(term => term.Name), .. objectives.States.Select(term => term.Objective.ShortName)];
        var isWeighted = names.Length > 0 || objectives.Exits is { Objectives.Terms.Count: > 0 };
        var isComputed = objectives.Exits is not null || totals.Terms.Any(term => names.Contains(term.Name) && term.Tokens > 0);
        return !isWeighted || !isComputed || objectives.Terms.Any(term => term.Objective is Taid);
    }

    /// <param name="step">From 1.</param>
    /// <param name="options">Of the training.</param>
    /// <param name="weights">Of the student, or of a peer.</param>
    /// <param name="model">Names the model, where it is not the first student.</param>
    public static InvalidInputException Error(long step, OptimizationOptions options, TrainedWeights weights, string model = "") =>
        new(
            FormattableString.Invariant($"{model}step {step:N0}: the gradient of every trainable parameter is 0, and nothing would be ")
                + $"learned: {Reason(options as TrainOptions, weights)}"
        );

    static string Reason(TrainOptions? options, TrainedWeights weights) =>
        weights.Adapter is null && weights.Model.Matrices.count_nonzero().item<long>() == 0
            ? "all weights of the model are 0; take another checkpoint, or train it from scratch (architecture)"
        : options is { SelfTeacherDecay: not null } or { Peers.Count: > 0 }
            ? "what teaches the student is the student itself; let the drawn tokens teach too (kd_alpha below 1, or cross_entropy), "
                + "or give peers another seed"
        : options is { FrozenParameters.Count: > 0 } or { LoraR: not null }
            ? "the objectives do not depend on the parameters that "
                + (options.LoraR is null ? "frozen_parameters leaves trainable" : "lora_target_modules names")
        : "look for objectives that are constant, and for layers whose weights are 0";
}

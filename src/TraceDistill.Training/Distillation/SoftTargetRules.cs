using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;

namespace TraceDistill.Training.Distillation;

/// <summary>Conditions that stored soft targets have to meet for a training.</summary>
static class SoftTargetRules
{
    /// <summary>
    /// Refuses what undoes the draws that soft targets are: only the gradient of forward KL at T = 1, linear in the teacher's
    /// probabilities, has for its mean that of the whole distribution.
    /// </summary>
    /// <exception cref="InvalidInputException">A setting is such.</exception>
    public static void EnsureUnbiased(string path, DatasetDescription dataset, TrainOptions options)
    {
        var soft = options.ResolveObjectives().OfTokens.Where(objective => objective.NeedsSoftTargets).ToList();
        if (dataset.SampledLogprobs is not { } draws || soft.Count == 0 || options.Teacher is not null || options.IsTaughtAlong)
        {
            return; // a teacher on disk says itself what the stored draws would
        }

        if (options.Teachers.Count > 1)
        {
            throw new InvalidInputException(
                $"{path}: its soft targets are {draws} draws of each token (sampled_logprobs), which average with no other teacher's; "
                    + "leave it out of teachers, or score with top_logprobs"
            );
        }

        var wrong = soft.Where(objective => objective is not KlForward)
            .Select(objective => $"leave out {(options.Objectives.Count > 0 ? $"the objective {objective.Name}" : "kd_uld_weight")}")
            .ToList();
        Add(soft.OfType<KlForward>().Any(objective => objective.Temperature?.Range is not (1, 1)), "set the temperature to 1");
        Add(soft.OfType<KlForward>().Any(objective => objective.TokenWeight != TokenWeight.Uniform), "leave out token_weight");
        Add(options.KdMissingMass != MissingMass.TailBucket, "set kd_missing_mass: tail_bucket");
        Add(options.KdSampling != SoftTargetSampling.None, "leave out kd_sampling");
        Add(options.KdAlpha is { Kind: ScheduleKind.GradientBalance }, "give kd_alpha a number or a course over steps");
        Add(options.KdTopK < dataset.TopK, "leave out kd_top_k");
        if (wrong.Count > 0)
        {
            throw new InvalidInputException(
                $"{path}: its soft targets are {draws} draws of each token (sampled_logprobs), which teach and judge without bias "
                    + $"by kl_forward alone, as they are: {string.Join(", ", wrong)}"
            );
        }

        void Add(bool isWrong, string advice)
        {
            if (isWrong)
            {
                wrong.Add(advice);
            }
        }
    }

    /// <summary>Refuses soft targets of which too little is left in the student's vocabulary.</summary>
    /// <exception cref="InvalidInputException">It is less than kd_min_alignment.</exception>
    public static void EnsureAligned(string path, AlignmentSurvival? survival, TrainOptions options)
    {
        if (survival is { } left && Math.Min(left.Positions, left.Mass) < options.KdMinAlignment)
        {
            var share = FormattableString.Invariant($"{left.Positions:P1} of the tokens and {left.Mass:P1} of the probability");
            throw new InvalidInputException(
                FormattableString.Invariant($"{path}: soft-target coverage after alignment is {share}, ")
                    + FormattableString.Invariant($"less than kd_min_alignment {options.KdMinAlignment}: ")
                    + "take a student with a closer tokenizer, or lower it"
            );
        }
    }
}

using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Options;
using TraceDistill.Models.Configuration;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;

namespace TraceDistill.Training;

/// <summary>Which objectives, policies and teachers of a training go together.</summary>
static class ObjectiveRules
{
    /// <returns>What is wrong, each with the setting's name.</returns>
    public static IEnumerable<ValidationResult> Problems(TrainOptions options)
    {
        (string Name, bool IsGiven)[] shortKeys =
        [
            (nameof(TrainOptions.KdAlpha), options.KdAlpha is not null),
            (nameof(TrainOptions.KdUldWeight), options.KdUldWeight > 0),
            (nameof(TrainOptions.ZLossWeight), options.ZLossWeight > 0),
        ];
        if (options.Objectives.Count > 0)
        {
            foreach (var (name, _) in shortKeys.Where(key => key.IsGiven))
            {
                yield return new ValidationResult("objectives have weights of their own; leave one of the two out", [name]);
            }
        }

        // With kd_alpha: 0 soft targets count for nothing, and what does not go together is a mistake still.
        var objectives = (options.KdAlpha is null ? options : options with { KdAlpha = Schedule.Constant(1) }).ResolveObjectives();
        foreach (var twice in objectives.Objectives.GroupBy(objective => objective.Name).Where(same => same.Count() > 1))
        {
            yield return new ValidationResult($"{twice.Key} is listed twice", [nameof(TrainOptions.Objectives)]);
        }

        if (objectives.Objectives.All(objective => objective.Weight.Range.High <= 0))
        {
            yield return new ValidationResult(
                "all weights are 0, and nothing would be learned; give one a weight",
                [nameof(TrainOptions.Objectives)]
            );
        }

        foreach (var objective in objectives.Objectives)
        {
            foreach (var problem in ProblemsOf(objective))
            {
                yield return new ValidationResult($"{objective.Name}: {problem}", [nameof(TrainOptions.Objectives)]);
            }

            if (
                objective is StateObjective
                && options is not ({ RunTeachers.Count: 1, Teachers.Count: <= 1 } or { SelfTeacherDecay: not null })
            )
            {
                yield return new ValidationResult(
                    $"{objective.Name} compares states inside of both models; name the one teacher's model directory with teacher",
                    [nameof(TrainOptions.Objectives)]
                );
            }
        }

        foreach (var objective in objectives.OfTokens)
        {
            if (objective.Refuses(options.KdMissingMass) is { } reason && !options.IsDense)
            {
                var others = Enum.GetValues<MissingMass>()
                    .Where(policy => objectives.OfTokens.All(all => all.Refuses(policy) is null))
                    .ToList();
                yield return new ValidationResult(
                    $"{TrainOptions.NameOf(options.KdMissingMass)} does not go with the objective {objective.Name}: {reason}; "
                        + (
                            others.Count > 0
                                ? $"take {string.Join(" or ", others.Select(policy => TrainOptions.NameOf(policy)))}"
                                : "leave one of the objectives out"
                        ),
                    [nameof(TrainOptions.KdMissingMass)]
                );
            }

            if (objective.NeedsDenseTeacher && (!options.IsDense || options.StoredTeachers.Count > 0))
            {
                yield return new ValidationResult(
                    !options.IsTaughtByModels || options.StoredTeachers.Count > 0
                        ? $"{objective.Name} compares all logits, which stored soft targets do not have; name a model with teacher"
                        : $"{objective.Name} compares all logits; leave kd_top_k and kd_sampling out",
                    [nameof(TrainOptions.Objectives)]
                );
            }

            if (options.KdSampling != SoftTargetSampling.None && objective is { NeedsSoftTargets: true } and not KlForward)
            {
                yield return new ValidationResult(
                    $"goes with kl_forward alone, whose gradient is linear in the teacher's probabilities; {objective.Name} is not",
                    [nameof(TrainOptions.KdSampling)]
                );
            }
        }

        foreach (var problem in TeacherProblems(options))
        {
            yield return problem;
        }

        foreach (
            var (name, schedule) in new[]
            {
                (nameof(TrainOptions.KdAlpha), options.KdAlpha),
                (nameof(TrainOptions.KdTemperature), options.KdTemperature),
            }
        )
        {
            if (schedule?.Problem is { } problem)
            {
                yield return new ValidationResult(problem, [name]);
            }
        }

        if (options.KdAlpha is { Kind: ScheduleKind.TeacherEntropy })
        {
            yield return new ValidationResult("teacher_entropy is a course of temperatures", [nameof(TrainOptions.KdAlpha)]);
        }

        if (options.KdTemperature is { Kind: ScheduleKind.GradientBalance })
        {
            yield return new ValidationResult("gradient_balance is a course of kd_alpha", [nameof(TrainOptions.KdTemperature)]);
        }

        if (options.KdAlpha?.Range is { Low: < 0 } or { High: > 1 })
        {
            yield return new ValidationResult("must be from 0 to 1", [nameof(TrainOptions.KdAlpha)]);
        }

        if (options.KdTemperature.Range.Low <= 0)
        {
            yield return new ValidationResult("must be above 0", [nameof(TrainOptions.KdTemperature)]);
        }

        if (
            options.KdTemperature != Schedule.Constant(1)
            && !options.Objectives.Select(choice => choice.Chosen).Any(objective => objective is Divergence { Temperature: null })
            && options.Objectives.Count > 0
        )
        {
            yield return new ValidationResult("no objective takes it; leave it out", [nameof(TrainOptions.KdTemperature)]);
        }

        if (options.KdAlpha is { Kind: ScheduleKind.GradientBalance } && options.KdSampling != SoftTargetSampling.None)
        {
            yield return new ValidationResult(
                "gradient_balance measures the noise of draws as part of the soft gradient; leave kd_sampling out, or take a number",
                [nameof(TrainOptions.KdAlpha)]
            );
        }
    }

    static IEnumerable<ValidationResult> TeacherProblems(TrainOptions options)
    {
        foreach (var problem in PanelProblems(options).Concat(AlongProblems(options)).Concat(PromptProblems(options)))
        {
            yield return problem;
        }

        if (options.Teacher is null && (options.TeacherDevice != DeviceChoice.Auto || options.TeacherDtype is not null))
        {
            yield return new ValidationResult(
                options.Teachers.Count > 0
                    ? "each of teachers has a device and a dtype of its own"
                    : "goes with teacher, a model directory",
                [options.TeacherDtype is not null ? nameof(TrainOptions.TeacherDtype) : nameof(TrainOptions.TeacherDevice)]
            );
        }

        var plan = options.ResolveObjectives();
        TokenObjective[] objectives = [.. plan.OfTokens];
        var takesSoft = objectives.Any(objective => objective.NeedsSoftTargets);
        var isRun = options.IsTaughtByModels;
        var name =
            options.Teachers.Count > 0 ? nameof(TrainOptions.Teachers)
            : options.Teacher is not null ? nameof(TrainOptions.Teacher)
            : options.Peers.Count > 0 ? nameof(TrainOptions.Peers)
            : nameof(TrainOptions.SelfTeacherDecay);
        if ((isRun || options.Teachers.Count > 0) && !takesSoft && !plan.Objectives.OfType<StateObjective>().Any())
        {
            yield return new ValidationResult("no objective takes its distributions or states; raise kd_alpha, or leave it out", [name]);
        }

        if ((isRun || options.Teachers.Count > 1) && objectives.Any(objective => objective is UniversalLogit))
        {
            yield return new ValidationResult(
                isRun
                    ? "uld is for stored soft targets of another vocabulary; a teacher on disk has the student's"
                    : "uld is for the stored soft targets of one teacher",
                [options.Objectives.Count > 0 ? nameof(TrainOptions.Objectives) : nameof(TrainOptions.KdUldWeight)]
            );
        }

        if (isRun && options.StoredTeachers.Count == 0 && options.KdMinAlignment > 0)
        {
            yield return new ValidationResult(
                "is of stored soft targets, which a teacher on disk takes the place of",
                [nameof(TrainOptions.KdMinAlignment)]
            );
        }

        if (options.KdMissingMass != MissingMass.TailBucket && (options.IsDense || options.KdSampling != SoftTargetSampling.None))
        {
            yield return new ValidationResult(
                options.IsDense
                    ? "a teacher's whole distributions leave nothing out; leave it out, or give kd_top_k"
                    : "drawn tokens leave nothing out; leave it out",
                [nameof(TrainOptions.KdMissingMass)]
            );
        }

        if (options.KdSampling == SoftTargetSampling.None && options.KdDraws != new TrainOptions().KdDraws)
        {
            yield return new ValidationResult("goes with kd_sampling", [nameof(TrainOptions.KdDraws)]);
        }

        if (options.KdSampling != SoftTargetSampling.None && !takesSoft)
        {
            yield return new ValidationResult(
                "no objective takes soft targets; raise kd_alpha, or leave it out",
                [nameof(TrainOptions.KdSampling)]
            );
        }

        if (options.KdSampling == SoftTargetSampling.RandomSampling && (!isRun || options.StoredTeachers.Count > 0))
        {
            yield return new ValidationResult(
                "random_sampling draws from whole distributions, of model directories that teacher or teachers name; of stored top k it is "
                    + "sampled_top_k, and biased",
                [nameof(TrainOptions.KdSampling)]
            );
        }

        if (options.KdSampling == SoftTargetSampling.SampledTopK && isRun)
        {
            yield return new ValidationResult(
                "sampled_top_k draws from the traces' top k; of a teacher's whole distributions take random_sampling",
                [nameof(TrainOptions.KdSampling)]
            );
        }

        if (options.KdSampling != SoftTargetSampling.None && isRun && options.KdTopK is not null)
        {
            yield return new ValidationResult(
                "draws are of the whole distribution; leave kd_top_k or kd_sampling out",
                [nameof(TrainOptions.KdTopK)]
            );
        }

        if (
            options.KdSampling != SoftTargetSampling.None
            && objectives.OfType<Divergence>().Any(divergence => divergence.Temperature != Schedule.Constant(1))
        )
        {
            yield return new ValidationResult(
                "draws are at a temperature of 1; leave temperatures or kd_sampling out",
                [nameof(TrainOptions.KdSampling)]
            );
        }

        if (
            options.KdSampling != SoftTargetSampling.None
            && objectives.OfType<Divergence>().Any(divergence => divergence.TokenWeight != TokenWeight.Uniform)
        )
        {
            yield return new ValidationResult(
                "token_weight goes by the draws themselves; leave one of the two out",
                [nameof(TrainOptions.KdSampling)]
            );
        }
    }

    /// <summary>Models that teach may read a prompt of their own; tokens of prompts then have no counterpart.</summary>
    static IEnumerable<ValidationResult> PromptProblems(TrainOptions options)
    {
        if (options.TeacherPrompt is null)
        {
            if (options.TeacherProblems.Count > 0)
            {
                yield return new ValidationResult("goes with teacher_prompt", [nameof(TrainOptions.TeacherProblems)]);
            }

            yield break;
        }

        if (!options.IsTaughtByModels)
        {
            yield return new ValidationResult(
                "is read by models that teach: name one with teacher, or score the traces with prompt",
                [nameof(TrainOptions.TeacherPrompt)]
            );
        }

        foreach (
            var objective in options
                .ResolveObjectives()
                .Objectives.OfType<StateObjective>()
                .Where(objective => objective.Kind is StateKind.AttentionMaps or StateKind.Values)
        )
        {
            yield return new ValidationResult(
                $"{objective.Name} compares how completions look at their prompts, which are others for the teacher; leave it out",
                [nameof(TrainOptions.Objectives)]
            );
        }
    }

    static IEnumerable<ValidationResult> PanelProblems(TrainOptions options)
    {
        var (teachers, isVerdict) = (options.Teachers, options.TeacherWeights == TeacherWeights.Verdict);
        if (options.Teacher is not null && teachers.Count > 0)
        {
            yield return new ValidationResult("is one of teachers, or there are none; leave one of the two out", [nameof(options.Teacher)]);
        }

        (string Name, bool IsGiven)[] ofSeveral =
        [
            (nameof(options.TeacherWeights), options.TeacherWeights != TeacherWeights.Fixed),
            (nameof(options.TeacherAverage), options.TeacherAverage != TeacherAverage.Probability),
        ];
        foreach (var (name, _) in ofSeveral.Where(setting => setting.IsGiven && teachers.Count < 2))
        {
            yield return new ValidationResult("is of several teachers; list them in teachers", [name]);
        }

        if (options.TeacherWeights != TeacherWeights.Gate && options.TeacherGateLearningRate != new TrainOptions().TeacherGateLearningRate)
        {
            yield return new ValidationResult("goes with teacher_weights: gate", [nameof(options.TeacherGateLearningRate)]);
        }

        if (teachers.GroupBy(SourceOf).FirstOrDefault(same => same.Count() > 1) is { } twice)
        {
            yield return new ValidationResult(
                $"{twice.First().Name} is listed {twice.Count()} times; give it a larger weight instead",
                [nameof(options.Teachers)]
            );
        }

        if (teachers.Count > 0 && teachers.All(teacher => teacher.Weight == 0))
        {
            yield return new ValidationResult("no teacher has a weight above 0", [nameof(options.Teachers)]);
        }

        if (options.StoredTeachers.Count > 0 && options.Traces.Count == 0)
        {
            yield return new ValidationResult(
                $"{options.StoredTeachers[0].Name}: soft targets are of traces, and there are none; take models",
                [nameof(options.Teachers)]
            );
        }

        if (!isVerdict && teachers.FirstOrDefault(teacher => teacher.IncorrectWeight is not null) is { } judged)
        {
            yield return new ValidationResult(
                $"{judged.Name}: incorrect_weight goes with teacher_weights: verdict",
                [nameof(options.Teachers)]
            );
        }

        if (isVerdict && teachers.Count > 1 && teachers.All(teacher => teacher.WeightAtIncorrect == teacher.Weight))
        {
            yield return new ValidationResult(
                "verdict: all teachers weigh the same at incorrect traces; give one an incorrect_weight",
                [nameof(options.TeacherWeights)]
            );
        }

        if (isVerdict && options.OnlyCorrect)
        {
            yield return new ValidationResult(
                "verdict: only_correct leaves no incorrect trace; leave one of the two out",
                [nameof(options.TeacherWeights)]
            );
        }

        static string SourceOf(TeacherChoice teacher) =>
            string.Join('\n', teacher.Scores.Append(teacher.Model ?? "").Where(path => path != "").Select(Path.GetFullPath));
    }

    /// <summary>Models that teach and change with the student go with no other teacher; peers are trained whole.</summary>
    static IEnumerable<ValidationResult> AlongProblems(TrainOptions options)
    {
        (string Name, bool IsGiven)[] teachers =
        [
            (nameof(TrainOptions.SelfTeacherDecay), options.SelfTeacherDecay is not null),
            (nameof(TrainOptions.Peers), options.Peers.Count > 0),
            (nameof(TrainOptions.Teacher), options.Teacher is not null),
            (nameof(TrainOptions.Teachers), options.Teachers.Count > 0),
        ];
        string[] given = [.. teachers.Where(teacher => teacher.IsGiven).Select(teacher => teacher.Name)];
        if (!options.IsTaughtAlong)
        {
            yield break;
        }

        if (given.Length > 1)
        {
            yield return new ValidationResult("a student has one kind of teacher; leave the other out", [given[0]]);
        }

        if (options is { LoraR: not null, Peers.Count: > 0 })
        {
            yield return new ValidationResult("applies to full fine-tuning; leave it out, or lora_r", [nameof(TrainOptions.Peers)]);
        }

        if (options.Peers.Count > 0 && options.QuantizationAware != QuantizationAware.None)
        {
            yield return new ValidationResult(
                "goes with one student alone; leave it out, or peers",
                [nameof(TrainOptions.QuantizationAware)]
            );
        }

        if (options.Peers.Count > 0 && options.FrozenParameters.Count > 0)
        {
            yield return new ValidationResult(
                "goes with one student alone; leave it out, or peers",
                [nameof(TrainOptions.FrozenParameters)]
            );
        }

        if (options.Peers.Count > 0 && options.EarlyExits is not null)
        {
            yield return new ValidationResult("goes with one student alone; leave it out, or peers", [nameof(TrainOptions.EarlyExits)]);
        }

        (string Name, bool IsGiven)[] ofTheFirst =
        [
            (nameof(TrainOptions.LoadBestModelAtEnd), options.LoadBestModelAtEnd),
            (nameof(TrainOptions.EmaDecay), options.EmaDecay > 0),
        ];
        foreach (var (name, _) in ofTheFirst.Where(setting => setting.IsGiven && options.Peers.Count > 0))
        {
            yield return new ValidationResult("goes with one student alone; leave it out, or peers", [name]);
        }

        if (options.Peers.Any(peer => peer is { Architecture: not null, Student: not null }))
        {
            yield return new ValidationResult("a peer has an architecture or a student, not both", [nameof(TrainOptions.Peers)]);
        }
    }

    static IEnumerable<string> ProblemsOf(Objective objective)
    {
        string?[] problems =
        [
            objective.Problem,
            objective.Weight.Problem,
            objective.Weight.IsOverSteps ? null : "its weight is a number or a course over steps",
            objective is Divergence { Temperature.Kind: ScheduleKind.GradientBalance } ? "gradient_balance is a course of kd_alpha" : null,
            objective.Weight.Range.Low < 0 ? "its weight must not be negative" : null,
            (objective as Divergence)?.Temperature?.Problem,
            objective is Divergence { Temperature.Range.Low: <= 0 } ? "its temperature must be above 0" : null,
        ];
        return problems.OfType<string>();
    }
}

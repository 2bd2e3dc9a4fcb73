using System.Globalization;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Training;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;
using static TorchSharp.torch;

namespace TraceDistill.Benchmarks;

/// <summary>
/// The gradient of a step with each objective beside that of cross entropy alone in the same rounds, by processor time; the middle of the
/// rounds' ratios is printed. Sparse: top-20 soft targets with a tail. Dense: a teacher on disk with one narrow layer, so that its own
/// forward pass costs next to nothing.
/// </summary>
static class ObjectivesBenchmark
{
    public static int Run(Arguments arguments)
    {
        var size = EngineTable.Sizes.First(size => size.Name == (arguments.Text("size") ?? "124M"));
        var (rounds, workers) = (arguments.Number("rounds", 3), arguments.Number("workers", Environment.ProcessorCount));
        var only = arguments.Text("only")?.Split(',');
        using var parameters = size.Random();
        using var narrow = new ModelParameters(
            new ModelArchitecture
            {
                HiddenSize = 16,
                NumHiddenLayers = 1,
                NumAttentionHeads = 1,
                IntermediateSize = 16,
                MaxPositionEmbeddings = 512,
            }.Configure(size.Vocabulary, [0])
        );
        narrow.Initialize(seed: 2);
        using var teacher = new TeacherModel(narrow, isOwned: false);
        teacher.MoveTo(CPU, ComputeDtype.Float32);
        using var sparse = new GradientWorkers(TrainedWeights.All(parameters), workers, 1_024);
        using var dense = new GradientWorkers(TrainedWeights.All(parameters), workers, 1_024, teacher: teacher);
        var batch = size.Batch();
        var hard = ObjectivePlan.HardLoss();
        Console.WriteLine($"{size.Name}, {size.Vocabulary:N0} words: time of a step ÷ that of cross entropy alone");
        Console.WriteLine("objective | sparse | dense");
        foreach (
            var property in typeof(ObjectiveChoice)
                .GetProperties()
                .Where(property => property.PropertyType.IsAssignableTo(typeof(TokenObjective)))
        )
        {
            var objective = (TokenObjective)Activator.CreateInstance(property.PropertyType)!;
            if (only is null || only.Contains(objective.Name))
            {
                var plan = new ObjectivePlan { Objectives = [objective] };
                var isDenseAlone = objective.NeedsDenseTeacher || objective.NeedsAllLogits;
                Console.WriteLine(
                    $"{objective.Name} | {(isDenseAlone ? "–" : Ratio(sparse, plan))} | "
                        + (objective.NeedsSoftTargets || objective.NeedsAllLogits ? Ratio(dense, plan) : "–")
                );
            }
        }

        foreach (var (name, policy) in Policies().Where(pair => only is null || only.Contains(pair.Name)))
        {
            Console.WriteLine($"kl_forward, {name} | – | {Ratio(dense, ObjectivePlan.Classic(1, 1) with { Policy = policy })}");
        }

        return 0;

        string Ratio(GradientWorkers engine, ObjectivePlan plan)
        {
            double[] ratios = [.. Enumerable.Range(0, rounds + 1).Select(_ => Time(engine, plan) / Time(sparse, hard)).Skip(1).Order()];
            return ratios[ratios.Length / 2].ToString("F2", CultureInfo.InvariantCulture);
        }

        double Time(GradientWorkers engine, ObjectivePlan plan) =>
            1 / EngineTable.Rate(1, workers, () => engine.Accumulate(batch, plan.At(TrainingPoint.First)));
    }

    static IEnumerable<(string Name, TargetPolicy Policy)> Policies() =>
        [
            ("top 12", new TargetPolicy { TopK = 12 }),
            ("12 draws", new TargetPolicy { Sampling = SoftTargetSampling.RandomSampling, Draws = 12 }),
        ];
}

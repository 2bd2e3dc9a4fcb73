using System.Diagnostics;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Cost of several teachers that are run while a student learns: time of a gradient beside that with one of them, which goes forward
/// and has no gradient. The counts take turns, so that what else the machine does falls on all of them.
/// </summary>
static class TeachersBenchmark
{
    public static int Run(Arguments arguments)
    {
        int workers = arguments.Number("workers", Environment.ProcessorCount),
            most = arguments.Number("teachers", 4);
        using var student = Model(arguments.Number("hidden-size", 128), arguments.Number("layers", 3), seed: 1);
        ModelParameters[] teachers =
        [
            .. Enumerable
                .Range(2, most)
                .Select(seed => Model(arguments.Number("teacher-hidden-size", 256), arguments.Number("teacher-layers", 4), seed)),
        ];
        var trained = TrainedWeights.All(student);
        var batch = TrainingBenchmark.Batch(arguments.Number("batch-tokens", 2_048));
        var ways = Enumerable.Range(1, most).Select(count => new Way(trained, teachers[..count], workers)).ToList();
        for (var round = 0; round <= arguments.Number("rounds", 5); round++)
        {
            ways.ForEach(way => way.Step(batch, isWarmUp: round == 0));
        }

        Console.WriteLine($"student of {student.Count:N0} weights, teachers of {teachers[0].Count:N0} each");
        foreach (var way in ways)
        {
            Console.WriteLine(
                $"{way.Teachers} teacher{(way.Teachers == 1 ? " " : "s")}: a gradient {way.Median * 1e3, 6:N0} ms, "
                    + $"{way.Median / ways[0].Median:F2} of one teacher's"
            );
        }

        ways.ForEach(way => way.Dispose());
        Array.ForEach(teachers, teacher => teacher.Dispose());
        return 0;
    }

    static ModelParameters Model(int hidden, int layers, long seed)
    {
        var shape = new ModelArchitecture
        {
            HiddenSize = hidden,
            NumHiddenLayers = layers,
            NumAttentionHeads = 8,
            NumKeyValueHeads = 2,
            MaxPositionEmbeddings = 512,
        };
        var parameters = new ModelParameters(shape.Configure(TrainingBenchmark.Vocabulary, [0]));
        parameters.Initialize(seed);
        return parameters;
    }

    sealed class Way : IDisposable
    {
        static readonly ObjectivePlan Objectives = ObjectivePlan.Classic(0.9, 1);

        readonly TeacherModel[] _models;
        readonly GradientWorkers _gradients;
        readonly List<double> _seconds = [];

        public Way(TrainedWeights trained, IReadOnlyList<ModelParameters> teachers, int workers)
        {
            _models = [.. teachers.Select(weights => new TeacherModel(weights, isOwned: false))];
            Array.ForEach(_models, model => model.MoveTo(trained.Model.Device, ComputeDtype.Float32));
            var panel =
                _models.Length == 1
                    ? null
                    : new TeacherPanel { Members = [.. _models.Select(_ => new PanelMember(null, 1, 1))], Models = _models };
            _gradients = new GradientWorkers(
                trained,
                workers,
                microBatchTokens: 1_024,
                teacher: panel is null ? _models[0] : null,
                panel: panel
            );
        }

        public int Teachers => _models.Length;

        public double Median => _seconds.Order().ElementAt(_seconds.Count / 2);

        public void Step(IReadOnlyList<TraceTokens> batch, bool isWarmUp)
        {
            var start = Stopwatch.GetTimestamp();
            _gradients.Accumulate(batch, Objectives.At(TrainingPoint.First));
            if (!isWarmUp)
            {
                _seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
        }

        public void Dispose()
        {
            _gradients.Dispose();
            Array.ForEach(_models, model => model.Dispose());
        }
    }
}

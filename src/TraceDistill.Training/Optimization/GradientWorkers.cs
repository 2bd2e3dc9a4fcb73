using TorchSharp;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Models.Native;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Teaching;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// Computes the gradient of a batch in lanes: each runs whole micro-batches on one core with a graph and a gradient of its own, at small
/// model sizes far faster than splitting every operation over the cores. Where there are fewer lanes than cores, because a sequence is
/// long or a gradient large, idle cores take parts of the lanes' products and attention. Micro-batches, lanes, parts and the order in
/// which gradients are added follow from the batch alone: the number of workers changes no bit.
/// </summary>
public sealed class GradientWorkers : IDisposable
{
    const int MostLanes = MicroBatches.Most;

    /// <summary>Weights of all lanes' gradients together, where that leaves two of them: a gigabyte.</summary>
    const long LaneWeights = 1 << 28;
    readonly TrainedWeights _weights;
    readonly RoundedMatrices? _rounded;
    readonly TeacherModel? _teacher;
    readonly TeacherPanel? _panel;
    readonly AuxiliaryWeights? _auxiliary;
    readonly int _microBatchTokens,
        _mostLanes;
    readonly bool _gradientCheckpointing;
    readonly ScalarType _activations;
    readonly Cores _cores;
    readonly List<ILane> _lanes = [];

    /// <param name="weights">The weights all lanes share, and which of them are trained.</param>
    /// <param name="workers">Threads.</param>
    /// <param name="microBatchTokens">Most tokens a forward pass takes at once, but for a longer sequence.</param>
    /// <param name="dtype">Precision of the matrix products.</param>
    /// <param name="gradientCheckpointing">As <see cref="Decoder"/> has it.</param>
    /// <param name="blocks">The file that the model is trained for; null for none. Adapters are trained for none.</param>
    /// <param name="teacher">A model that teaches; null for the soft targets of batches alone. Owned by the caller.</param>
    /// <param name="panel">Several teachers in place of one; null for none. Owned by the caller.</param>
    /// <param name="auxiliary">Weights of objectives that compare states; null where there are none. Owned by the caller.</param>
    public GradientWorkers(
        TrainedWeights weights,
        int workers,
        int microBatchTokens,
        ComputeDtype dtype = ComputeDtype.Float32,
        bool gradientCheckpointing = false,
        BlockPlan? blocks = null,
        TeacherModel? teacher = null,
        TeacherPanel? panel = null,
        AuxiliaryWeights? auxiliary = null
    )
    {
        (_teacher, _panel, _auxiliary) = (teacher, panel, auxiliary);
        (_weights, _cores, _microBatchTokens) = (weights, new Cores(workers), microBatchTokens);
        _gradientCheckpointing = gradientCheckpointing;
        var isBFloat16 = dtype == ComputeDtype.BFloat16;
        _rounded = isBFloat16 || blocks is not null ? new RoundedMatrices(weights.Model, isBFloat16, blocks) : null;
        // The CPU rounds what goes into a product; elsewhere all between the products is faster in 16 bits as well.
        var isOnCpu = weights.Model.Device.type == DeviceType.CPU;
        _activations = isBFloat16 && !isOnCpu ? ScalarType.BFloat16 : ScalarType.Float32;
        ProcessHeap.KeepFreed(workers);
        // One lane keeps a GPU busy; several would share it and its memory.
        _mostLanes = isOnCpu ? MostLanesOf(weights.Count) : 1;
        _lanes.Add(NewLane());
    }

    /// <summary>Lanes, and so gradients, of a step of so many tokens, at most.</summary>
    internal static int LanesOf(long trained, int updateTokens, int microBatchTokens, bool isOnCpu) =>
        !isOnCpu ? 1 : Math.Min(MostLanesOf(trained), MicroBatches.Even((updateTokens + (long)microBatchTokens - 1) / microBatchTokens));

    /// <summary>[trained weights] gradient of the summed loss after <see cref="Accumulate"/>.</summary>
    public FloatBuffer Gradient => _lanes[0].Gradient;

    /// <summary>That of the weights of objectives; null where there are none.</summary>
    internal FloatBuffer? AuxiliaryGradient => _lanes[0].AuxiliaryGradient;

    /// <summary>Sums loss and gradient over <paramref name="batch"/>, starting from zero.</summary>
    /// <param name="batch">The sequences of one optimizer step.</param>
    /// <param name="objectives">The loss.</param>
    /// <param name="noise">Seeds that dropout and NEFTune draw from; without them there is neither.</param>
    /// <param name="inBlocks">False where passes do not read the blocks of the file yet that the model is trained for.</param>
    public LossTotals Accumulate(
        IReadOnlyList<TraceTokens> batch,
        StepObjectives objectives,
        UpdateNoise? noise = null,
        bool inBlocks = true
    )
    {
        if (_weights.Adapter is { } adapter)
        {
            adapter.Refresh(); // the model's own weights are as they were
        }
        else if (_rounded is not null)
        {
            _cores.Each(1, _ => _rounded.Refresh(inBlocks));
        }

        var pieces = Cut(batch);
        var used = Math.Min(pieces.Count, _mostLanes);
        while (_lanes.Count < used)
        {
            _lanes.Add(NewLane());
        }

        _cores.Each(used, index => _lanes[index].Run(batch, [.. pieces.Where((_, piece) => piece % used == index)], objectives, noise));
        var totals = _lanes[0].Totals;
        foreach (var lane in _lanes.Take(used).Skip(1))
        {
            Gradient.Add(lane.Gradient);
            AuxiliaryGradient?.Add(lane.AuxiliaryGradient!);
            totals = totals.Plus(lane.Totals);
        }

        return totals;
    }

    /// <summary>Euclidean norm of <see cref="Gradient"/>.</summary>
    public double GradientNorm() => Math.Sqrt(Gradient.SumOfSquares());

    public void Dispose()
    {
        foreach (var lane in _lanes)
        {
            lane.Dispose();
        }

        _rounded?.Dispose();
    }

    /// <summary>Indices of the sequences of each pass, which is through one model.</summary>
    List<IReadOnlyList<int>> Cut(IReadOnlyList<TraceTokens> batch)
    {
        var pieces = new List<IReadOnlyList<int>>();
        foreach (var task in Enumerable.Range(0, batch.Count).GroupBy(index => batch[index].Labels?.Task).OrderBy(task => task.Key))
        {
            int[] indices = [.. task];
            int[] lengths = [.. indices.Select(index => batch[index].Ids.Length)];
            var cut = _mostLanes == 1 ? MicroBatches.CutByLength(lengths, _microBatchTokens) : MicroBatches.Cut(lengths, _microBatchTokens);
            pieces.AddRange(cut.Select(piece => piece.Select(place => indices[place]).ToArray()));
        }

        return pieces;
    }

    static int MostLanesOf(long trained) => (int)Math.Clamp(LaneWeights / Math.Max(1, trained), 2, MostLanes);

    /// <summary>The loss that keeps experts equally busy, as an objective's.</summary>
    internal static TermTotal Router(RouterBalance balance, int tokens) =>
        new("router", balance.Loss, tokens) { SquaredGradient = balance.SquaredGradient };

    ILane NewLane() =>
        _weights.Model is TaskParameters tasks
            ? new LabelLane(tasks, _rounded, _gradientCheckpointing, _activations)
            : new TraceLane(_weights, _rounded, _gradientCheckpointing, _activations, _teacher, _panel, _auxiliary);

    sealed class TraceLane : ILane
    {
        readonly Decoder _decoder;
        readonly Decoder? _teacher;
        readonly ModelConfiguration? _teacherShape;
        readonly TeacherPanel? _panel;
        readonly Decoder[] _panelModels;
        readonly AuxiliaryWeights? _auxiliary;
        readonly ChunkedHead _head;
        readonly bool _takesTensorFloat32;
        readonly ModelConfiguration _configuration;

        public TraceLane(
            TrainedWeights weights,
            RoundedMatrices? rounded,
            bool gradientCheckpointing,
            ScalarType activations,
            TeacherModel? teacher,
            TeacherPanel? panel,
            AuxiliaryWeights? auxiliary
        )
        {
            Gradient = new FloatBuffer(weights.Count, weights.Model.Device);
            AuxiliaryGradient = auxiliary is null ? null : new FloatBuffer(auxiliary.Count, weights.Model.Device);
            // Logits are made of float32, in products of 10 bits where the layers' have 7.
            _takesTensorFloat32 = activations == ScalarType.BFloat16;
            _decoder = new Decoder(weights, Gradient, rounded, gradientCheckpointing, activations);
            _head = new ChunkedHead(_decoder);
            (_teacher, _teacherShape, _auxiliary) = (teacher?.NewDecoder(), teacher?.Weights.Configuration, auxiliary);
            _panel = panel;
            _panelModels = [.. panel?.Models.Select(model => model.NewDecoder()) ?? []];
            _configuration = weights.Model.Configuration;
        }

        public FloatBuffer Gradient { get; }

        public FloatBuffer? AuxiliaryGradient { get; }

        public LossTotals Totals { get; private set; } = new(0, [], 0, 0);

        public void Run(
            IReadOnlyList<TraceTokens> all,
            IReadOnlyList<IReadOnlyList<int>> pieces,
            StepObjectives objectives,
            UpdateNoise? noise
        )
        {
            using var recorded = enable_grad(); // a lane may run on its caller's thread
            Gradient.Clear();
            AuxiliaryGradient?.Clear();
            LossTotals? sums = null;
            foreach (var piece in pieces)
            {
                using var scope = NewDisposeScope();
                var batch = PackedBatch.Create([.. piece.Select(sequence => all[sequence])]);
                var passNoise = noise is { } update ? PassNoise.Create(update, piece, batch.Lengths) : null;
                var (tokens, ofTeacher) = (batch.Tokens, batch.TeacherTokens);
                var balance = RouterBalance.Of(_configuration, tokens);
                using var states = PassStates.Of(objectives, _configuration, _teacherShape, _auxiliary);
                var taught = Taught(ofTeacher, objectives, states?.OfTeacher);
                var hidden = _decoder.Forward(tokens, passNoise, states?.OfStudent, balance);
                var panel = Panel(ofTeacher, objectives);
                var (gradient, totals) = Head(hidden, batch, objectives, taught, Draws(objectives, piece, batch), panel);
                totals = balance is null ? totals : totals.With(Router(balance, batch.Rows.Length));
                var roots = new List<(Tensor Value, Tensor Gradient)> { (hidden, gradient) };
                foreach (var layer in objectives.Exits?.Layers ?? [])
                {
                    var exit = _decoder.Normalized(states!.Exit(layer, tokens));
                    var last = new TeacherStates(_decoder, hidden.detach());
                    var ofExits = objectives.Exits!.Objectives with { Measures = objectives.Measures };
                    var (ofExit, exitTotals) = Head(exit, batch, ofExits, last, draws: null, panel: null);
                    roots.Add((exit, ofExit));
                    totals = totals.With(exitTotals, $"exit{layer}_");
                }

                var compared = states?.Evaluate(tokens, ofTeacher, hidden.device);
                foreach (var (term, total) in objectives.States.Zip(compared?.Totals ?? []))
                {
                    totals = totals.With(total, term.Weight);
                }

                sums = sums?.Plus(totals) ?? totals;
                if (compared is { } sum)
                {
                    roots.Add((sum.Loss, ones_like(sum.Loss)));
                }

                Backward([.. roots.Where(root => root.Value.requires_grad)]);
                states?.AddGradients(AuxiliaryGradient!);
            }

            Totals = sums!;
        }

        public void Dispose()
        {
            _decoder.Dispose();
            _teacher?.Dispose();
            Array.ForEach(_panelModels, model => model.Dispose());
            Gradient.Dispose();
            AuxiliaryGradient?.Dispose();
        }

        (Tensor Gradient, LossTotals Totals) Head(
            Tensor hidden,
            PackedBatch batch,
            StepObjectives objectives,
            TeacherStates? taught,
            PassNoise? draws,
            PanelStates? panel
        )
        {
            using var allowed = _takesTensorFloat32 ? new TensorFloat32() : null;
            return _head.ForwardBackward(hidden, batch, objectives, taught, draws, panel);
        }

        /// <summary>The teacher's states, without a graph; null where none teaches.</summary>
        /// <param name="kept">Takes what objectives of states compare; null for nothing.</param>
        TeacherStates? Taught(TokenBatch tokens, StepObjectives objectives, Captured? kept)
        {
            if (_teacher is null || !objectives.RunsTeacher)
            {
                return null;
            }

            using var noGrad = no_grad();
            return new TeacherStates(_teacher, _teacher.Forward(tokens, noise: null, kept));
        }

        /// <summary>Several teachers' states, without a graph; null where there are none.</summary>
        PanelStates? Panel(TokenBatch tokens, StepObjectives objectives) =>
            _panel is null || !objectives.NeedsSoftTargets ? null : PanelStates.Of(_panel, _panelModels, tokens);

        static PassNoise? Draws(StepObjectives objectives, IReadOnlyList<int> piece, PackedBatch batch)
        {
            var policy = objectives.Policy;
            return policy.Sampling == SoftTargetSampling.None
                ? null
                : PassNoise.Create(new UpdateNoise(policy.Seed, objectives.At.Step, 0), piece, batch.Lengths);
        }

        static void Backward(IReadOnlyList<(Tensor Value, Tensor Gradient)> roots)
        {
            if (roots.Count == 0)
            {
                return;
            }

            try
            {
                // Together: what they share is walked once.
                autograd.backward([.. roots.Select(root => root.Value)], [.. roots.Select(root => root.Gradient)]);
            }
            finally
            {
                // Where libtorch gives up because a function of ours has, that one's exception is the cause, and is thrown.
                CustomGradient.Finish();
            }
        }
    }
}

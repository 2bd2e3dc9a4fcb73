namespace TraceDistill.Inference.Kernels;

/// <summary>
/// One product of <see cref="PackedMatrix"/> divided among threads that have nothing else to do.
/// Panels are taken as threads come to them: one that comes late, or never, is not waited for.
/// </summary>
/// <remarks>Each result is made by one thread in the order it is always made in, so that it is the same to the bit.</remarks>
sealed unsafe class SharedProduct : IThreadPoolWorkItem
{
    readonly PackedMatrix _matrix;
    readonly float* _input,
        _output;
    readonly int _inputStride,
        _rows,
        _panels,
        _chunk,
        _chunks;
    readonly bool _add;
    int _taken,
        _done;

    public SharedProduct(PackedMatrix matrix, float* input, int inputStride, int rows, float* output, bool add, int threads)
    {
        _input = input;
        _output = output;
        (_matrix, _inputStride, _rows, _add) = (matrix, inputStride, rows, add);
        _panels = matrix.OutputStride / PackedMatrix.PanelWidth;
        _chunk = Math.Max(1, _panels / (threads * 8));
        _chunks = (_panels + _chunk - 1) / _chunk;
    }

    /// <summary>Makes the product, with help from the thread pool.</summary>
    public void Run(int helpers)
    {
        for (var helper = 0; helper < helpers; helper++)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        Execute();
        var spin = default(SpinWait);
        while (Volatile.Read(ref _done) < _chunks)
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }
    }

    public void Execute()
    {
        for (var chunk = Interlocked.Increment(ref _taken) - 1; chunk < _chunks; chunk = Interlocked.Increment(ref _taken) - 1)
        {
            var first = chunk * _chunk;
            _matrix.MultiplyPanels(_input, _inputStride, _rows, _output, _add, first, Math.Min(_panels, first + _chunk));
            Interlocked.Increment(ref _done);
        }
    }
}

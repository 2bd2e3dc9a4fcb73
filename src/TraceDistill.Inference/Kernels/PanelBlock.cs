namespace TraceDistill.Inference.Kernels;

/// <summary>The rows of the input, and the 32 columns of as many rows of the output, that one kernel call works on.</summary>
readonly unsafe struct PanelBlock(float* input, int inputStride, int inputs, float* output, int outputStride, bool add)
{
    public readonly float* Input = input;
    public readonly int InputStride = inputStride;
    public readonly int Inputs = inputs;
    public readonly float* Output = output;
    public readonly int OutputStride = outputStride;

    /// <summary>True where results are added to what is there.</summary>
    public readonly bool Add = add;
}

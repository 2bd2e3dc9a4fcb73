namespace TraceDistill.Training.Tests.Objectives;

/// <summary>The loss written straight from its definition in float64, and its slope by central differences.</summary>
static class ReferenceLoss
{
    public static double[] Softmax(double[] z)
    {
        var maximum = z.Max();
        var e = z.Select(value => Math.Exp(value - maximum)).ToArray();
        return [.. e.Select(value => value / e.Sum())];
    }

    public static double Of(
        double[] z,
        int target,
        int[] ids,
        float[] logprobs,
        float tail,
        double alpha,
        double temperature,
        bool tailBucket
    )
    {
        var q = Softmax(z);
        List<double> student = [.. ids.Select(id => Math.Log(q[id]))],
            teacher = [.. logprobs.Select(value => (double)value)];
        if (tailBucket && ids.Length < z.Length)
        {
            student.Add(Math.Log(Enumerable.Range(0, z.Length).Except(ids).Sum(i => q[i])));
            teacher.Add(tail);
        }

        var t = Softmax([.. teacher.Select(value => value / temperature)]);
        var s = Softmax([.. student.Select(value => value / temperature)]);
        var divergence = t.Zip(s, (p, r) => p * (Math.Log(p) - Math.Log(r))).Sum();
        return alpha * temperature * temperature * divergence - (1 - alpha) * Math.Log(q[target]);
    }

    public static double Slope(Func<double[], double> loss, double[] z, int i)
    {
        const double H = 1e-5;
        double[] up = [.. z],
            down = [.. z];
        up[i] += H;
        down[i] -= H;
        return (loss(up) - loss(down)) / (2 * H);
    }
}

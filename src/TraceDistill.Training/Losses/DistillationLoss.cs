using System.Numerics.Tensors;
using TraceDistill.Training.Kernels;

namespace TraceDistill.Training.Losses;

// V = vocabulary, k = soft targets of a token, z = student logits, q = softmax(z), p = teacher

/// <summary>
/// Distillation loss and its gradient for one token, from the logits and top-k teacher logprobs.
/// </summary>
/// <remarks>
/// Outcomes are the k tokens and, under <see cref="MissingMass.TailBucket"/>, one bucket for all others, on both sides at T = 1:
/// u = (log q₁ … log q_k, log Σ_rest q) and v likewise for the teacher. Then t = softmax(v/T), s = softmax(u/T) and
/// KL = Σ t (log t − log s). Since Σ (s − t) = 0, the terms through the log-partition of q cancel and
/// ∂KL/∂zᵢ = (sᵢ − tᵢ)/T for a token among the k, (s_tail − t_tail)/T · qᵢ/q_tail for any other (Hinton et al., arXiv 1503.02531, for dense
/// targets; with k = V the two are equal). The tail's sum runs over the other tokens themselves, never 1 − Σq, so that it keeps its
/// precision when it is tiny.
/// </remarks>
public static unsafe class DistillationLoss
{
    /// <summary>Replaces a token's logits by the gradient of its loss and adds the loss to <paramref name="totals"/>.</summary>
    /// <param name="logits">[V]; overwritten.</param>
    /// <param name="target">The token that was sampled.</param>
    /// <param name="ids">[k] the teacher's tokens; empty for a token without soft targets, which takes the hard loss alone.</param>
    /// <param name="logprobs">[k] their log-probabilities at T = 1.</param>
    /// <param name="tail">The teacher's log-probability of all other tokens, −∞ for none.</param>
    /// <param name="settings">α, T and the policy for missing mass.</param>
    /// <param name="totals">Added to.</param>
    /// <param name="unmatched">Probabilities of the teacher's alternatives that the student has no token for, the largest first.</param>
    public static void ForwardBackward(
        Span<float> logits, int target, ReadOnlySpan<int> ids, ReadOnlySpan<float> logprobs, float tail, in DistillationSettings settings, ref LossTotals totals,
        ReadOnlySpan<float> unmatched = default)
    {
        var alpha = ids.IsEmpty ? 0 : settings.KdAlpha;
        var k = ids.Length;
        Span<double> gathered = stackalloc double[k + 1];
        for (var i = 0; i < k; i++)
        {
            gathered[i] = logits[ids[i]];
        }

        double maximum = TensorPrimitives.Max<float>(logits), targetLogit = logits[target], partition, tailSum = 0;
        fixed (float* values = logits)
        {
            partition = SimdMath.ExpShifted(values, logits.Length, (float)maximum);
        }

        var logPartition = maximum + Math.Log(partition);
        var crossEntropy = logPartition - targetLogit;
        double divergence = 0, tailSlope = 0, uld = 0;
        Span<double> slopes = stackalloc double[k + 1];
        var hard = (1 - alpha) / partition;
        if (alpha > 0)
        {
            for (var i = 0; i < k; i++)
            {
                gathered[i] -= logPartition;
                logits[ids[i]] = 0;
            }

            var outcomes = settings.MissingMass == MissingMass.TailBucket && k < logits.Length ? k + 1 : k;
            if (outcomes > k)
            {
                tailSum = Math.Max(TensorPrimitives.Sum<float>(logits), 1e-37);
                gathered[k] = Math.Log(tailSum / partition);
            }

            divergence = Divergence(gathered[..outcomes], logprobs, tail, settings.KdTemperature, slopes);
            var scale = alpha * settings.KdTemperature * settings.KdTemperature;
            if (outcomes > k)
            {
                tailSlope = scale * slopes[k] / tailSum;
            }

            var weight = unmatched.IsEmpty ? 0 : alpha * settings.UldWeight;
            Span<int> ranked = stackalloc int[unmatched.Length];
            Span<float> uldSlopes = stackalloc float[unmatched.Length];
            (uld, var meanSlope, var ranks) = weight > 0 ? UniversalLogitLoss.Compare(logits, partition, unmatched, ranked, uldSlopes) : default;
            for (var rank = 0; rank < ranks; rank++)
            {
                uldSlopes[rank] *= (float)(weight / partition) * logits[ranked[rank]];
            }

            TensorPrimitives.Multiply(logits, (float)(hard + tailSlope - (weight * meanSlope / partition)), logits);
            for (var rank = 0; rank < ranks; rank++)
            {
                logits[ranked[rank]] += uldSlopes[rank];
            }

            for (var i = 0; i < k; i++)
            {
                logits[ids[i]] = (float)((1 - alpha - (weight * meanSlope)) * Math.Exp(gathered[i]) + scale * slopes[i]);
            }
        }
        else
        {
            TensorPrimitives.Multiply(logits, (float)hard, logits);
        }

        logits[target] -= (float)(1 - alpha);
        totals.CrossEntropy += crossEntropy;
        totals.Divergence += divergence;
        totals.Uld += uld;
        totals.Loss += alpha * (settings.KdTemperature * settings.KdTemperature * divergence + settings.UldWeight * uld) + (1 - alpha) * crossEntropy;
        totals.Tokens++;
        totals.SoftTokens += alpha > 0 ? 1 : 0;
    }

    /// <summary>KL(t ‖ s) and its slopes (s − t)/T by the student's outcome logprobs.</summary>
    /// <param name="student">[outcomes] log-probabilities at T = 1; the last is the tail's where there is one more than teacher tokens.</param>
    static double Divergence(ReadOnlySpan<double> student, ReadOnlySpan<float> teacher, double tail, double temperature, Span<double> slopes)
    {
        var outcomes = student.Length;
        Span<double> t = stackalloc double[outcomes];
        Span<double> s = stackalloc double[outcomes];
        for (var i = 0; i < outcomes; i++)
        {
            t[i] = (i < teacher.Length ? teacher[i] : tail) / temperature;
            s[i] = student[i] / temperature;
        }

        double teacherPartition = LogSumExp(t), studentPartition = LogSumExp(s), divergence = 0;
        for (var i = 0; i < outcomes; i++)
        {
            var logTeacher = t[i] - teacherPartition;
            var p = Math.Exp(logTeacher);
            divergence += p > 0 ? p * (logTeacher - (s[i] - studentPartition)) : 0;
            slopes[i] = (Math.Exp(s[i] - studentPartition) - p) / temperature;
        }

        return divergence;
    }

    static double LogSumExp(ReadOnlySpan<double> values)
    {
        var maximum = TensorPrimitives.Max(values);
        var sum = 0.0;
        foreach (var value in values)
        {
            sum += Math.Exp(value - maximum);
        }

        return maximum + Math.Log(sum);
    }
}

using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Head;

// R = tokens of a chunk, V = vocabulary, N = objectives

/// <summary>Figures of a step beside its losses: sums over tokens, of the objectives in their order.</summary>
/// <param name="Products">
/// [N × N] Σ over tokens of the products of two objectives' gradients by a token's logits, each without its weight.
/// </param>
/// <param name="TaughtProducts">[N × N] the same over tokens with soft targets alone.</param>
/// <param name="Taught">Sums over tokens with soft targets.</param>
public sealed record StepDiagnostics(double[] Products, double[] TaughtProducts, TaughtSums Taught)
{
    /// <summary>The product of two weighted sums of the objectives' gradients, over tokens that soft and hard loss share.</summary>
    /// <param name="terms">The objectives.</param>
    /// <param name="first">Weight of each in the one sum.</param>
    /// <param name="second">Weight of each in the other.</param>
    public double Product(IReadOnlyList<ObjectiveTerm> terms, Func<ObjectiveTerm, double> first, Func<ObjectiveTerm, double> second) =>
        terms.Index().Sum(a => terms.Index().Sum(b => first(a.Item) * second(b.Item) * TaughtProducts[(a.Index * terms.Count) + b.Index]));

    /// <summary>
    /// For metrics.jsonl: <c>grad_cosine</c> between the weighted soft and hard gradients, means over tokens with soft targets, and
    /// <c>untaught</c>, the number of those without.
    /// </summary>
    /// <param name="terms">The objectives.</param>
    /// <param name="totals">Of the same step.</param>
    public IEnumerable<KeyValuePair<string, double>> ToValues(IReadOnlyList<ObjectiveTerm> terms, LossTotals totals)
    {
        var (soft, hard) = (Weight(true), Weight(false));
        var norms = Math.Sqrt(Product(terms, soft, soft) * Product(terms, hard, hard));
        if (norms > 0)
        {
            yield return new("grad_cosine", Product(terms, soft, hard) / norms);
        }

        if (Taught.Tokens > 0)
        {
            yield return new("student_entropy", Taught.StudentEntropy / Taught.Tokens);
        }

        if (Taught.Stated > 0)
        {
            yield return new("teacher_entropy", Taught.TeacherEntropy / Taught.Stated);
            yield return new("covered_mass", Taught.Mass / Taught.Stated);
            yield return new("drawn_outside", Taught.DrawnOutside);
        }

        if (Taught.Compared > 0)
        {
            yield return new("top1", Taught.Agreed / Taught.Compared);
        }

        if (terms.Any(term => term.Objective.NeedsSoftTargets))
        {
            yield return new("untaught", totals.Tokens - Taught.Tokens);
        }

        static Func<ObjectiveTerm, double> Weight(bool isSoft) => term => term.Objective.NeedsSoftTargets == isSoft ? term.SoftWeight : 0;
    }

    /// <summary>Both together.</summary>
    public StepDiagnostics Plus(StepDiagnostics other) =>
        new(Sum(Products, other.Products), Sum(TaughtProducts, other.TaughtProducts), Taught.Plus(other.Taught));

    /// <summary>Of a chunk.</summary>
    /// <param name="losses">Each objective summed over the chunk's tokens, before the way back.</param>
    internal static StepDiagnostics Of(StudentRows student, TargetRows targets, IReadOnlyList<Tensor> losses)
    {
        Tensor?[] gradients = [.. losses.Select(loss => loss.requires_grad ? student.GradientOf(loss) : null)]; // [R, V]
        using var noGrad = no_grad();
        var (products, taught) = (new double[losses.Count * losses.Count], new double[losses.Count * losses.Count]);
        for (var i = 0; i < losses.Count; i++)
        {
            for (var j = 0; j <= i; j++)
            {
                if (gradients[i] is not { } a || gradients[j] is not { } b)
                {
                    continue;
                }

                var each = (a * b).sum(1, type: ScalarType.Float64); // [R]
                var (here, there) = ((i * losses.Count) + j, (j * losses.Count) + i);
                products[here] = products[there] = each.sum().item<double>();
                taught[here] = taught[there] = each.dot(targets.HasSoft).item<double>();
            }
        }

        return new StepDiagnostics(products, taught, targets.SoftTokens == 0 ? default : TaughtSums.Of(student, targets));
    }

    static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];
}

/// <summary>
/// Sums over tokens with soft targets. The teacher's are of what it reported, before policies and draws; where that is stored draws alone,
/// nothing is known of them.
/// </summary>
/// <param name="TeacherEntropy">In nats, of the tokens it reported and all others as one.</param>
/// <param name="StudentEntropy">In nats, of q over the outcomes that are compared.</param>
/// <param name="Agreed">Tokens whose most probable next token is the same for both.</param>
/// <param name="Compared">Tokens of which that is known: of drawn targets none.</param>
/// <param name="Mass">Probability of the reported tokens.</param>
/// <param name="DrawnOutside">Tokens that were drawn outside of what the teacher reported.</param>
/// <param name="Stated">Tokens whose distribution the teacher reported: all but stored draws.</param>
/// <param name="Tokens">Their number.</param>
public readonly record struct TaughtSums(
    double TeacherEntropy,
    double StudentEntropy,
    double Agreed,
    double Compared,
    double Mass,
    double DrawnOutside,
    double Stated,
    double Tokens
)
{
    /// <summary>Both together.</summary>
    public TaughtSums Plus(TaughtSums other) =>
        new(
            TeacherEntropy + other.TeacherEntropy,
            StudentEntropy + other.StudentEntropy,
            Agreed + other.Agreed,
            Compared + other.Compared,
            Mass + other.Mass,
            DrawnOutside + other.DrawnOutside,
            Stated + other.Stated,
            Tokens + other.Tokens
        );

    internal static TaughtSums Of(StudentRows student, TargetRows targets)
    {
        using var noGrad = no_grad();
        var (outcomes, stated) = (Outcomes.Of(student, targets, Temperature.One), targets.Stated);
        var agreed =
            targets.AreDrawn ? 0
            : targets.Dense is { } dense ? Sum(student.AllLogits.argmax(1).eq(dense.argmax(1)), targets.IsStated)
            : Sum(student.IsBest(stated.Reported.argmax(1, keepdim: true)), targets.IsStated);
        return new TaughtSums(
            Sum(stated.Entropy(), targets.IsStated),
            -Sum((outcomes.Student * outcomes.LogStudent).sum(1), targets.HasSoft),
            agreed,
            targets.AreDrawn ? 0 : targets.StatedTokens,
            stated.Dense is null ? Sum(stated.Reported.exp().sum(1), targets.IsStated) : targets.StatedTokens,
            stated.Dense is null ? Sum(stated.ReportsDrawn.logical_not(), targets.IsStated) : 0,
            targets.StatedTokens,
            targets.SoftTokens
        );

        static double Sum(Tensor each, Tensor counts) => each.to(ScalarType.Float64).dot(counts).item<double>();
    }
}

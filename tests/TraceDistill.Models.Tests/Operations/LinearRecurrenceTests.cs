using TorchSharp;
using TraceDistill.Models.Operations;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests.Operations;

[Trait("Category", "Numeric")]
public class LinearRecurrenceTests
{
    /// <summary>Every number of rows, for pairs of pairs end at any of them; and some that are large.</summary>
    public static TheoryData<int> Rows => [.. Enumerable.Range(1, 34), 1_000, 4_097];

    [Theory]
    [MemberData(nameof(Rows))]
    public void Apply_AnyNumberOfRows_EqualsALoopAndItsGradient(int rows)
    {
        using var scope = NewDisposeScope();
        var (keeps, adds) = (Random(rows, 1).sigmoid(), Random(rows, 2));
        var slopes = Random(rows, 3);
        // A sequence begins in the middle.
        keeps[rows / 2] = zeros(5, dtype: ScalarType.Float64);

        Compare(keeps, adds, slopes, 1e-13);

        static Tensor Random(int rows, ulong seed) => randn([rows, 5], dtype: ScalarType.Float64, generator: new Generator(seed));
    }

    /// <summary>Factors of 0 and 1 and what lies next to them: what is computed with is never infinite.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1e-300)]
    [InlineData(1 - 1e-16)]
    [InlineData(1)]
    public void Apply_FactorsAtTheEnds_EqualsALoopAndItsGradient(double keep)
    {
        using var scope = NewDisposeScope();
        var (keeps, adds) = (full([3_000, 5], keep, dtype: ScalarType.Float64), rand([3_000, 5], dtype: ScalarType.Float64));

        Compare(keeps, adds, ones_like(adds), 1e-12);
    }

    static void Compare(Tensor keeps, Tensor adds, Tensor slopes, double tolerance)
    {
        var (a, b, dh) = (keeps.to(TestDevice.Current), adds.to(TestDevice.Current), slopes.to(TestDevice.Current));
        var states = LinearRecurrence.Forward(a, b);
        var back = LinearRecurrence.Backward(a, dh);

        var (expected, keepSlopes, addSlopes) = Loop(keeps, adds, slopes);
        Rounding.Close(expected, states, tolerance);
        Rounding.Close(addSlopes, back, tolerance);
        Rounding.Close(keepSlopes, back * LinearRecurrence.Former(states), tolerance);
    }

    /// <summary>Token after token, there and back again.</summary>
    static (Tensor States, Tensor KeepSlopes, Tensor AddSlopes) Loop(Tensor keeps, Tensor adds, Tensor slopes)
    {
        var (rows, channels) = ((int)keeps.shape[0], (int)keeps.shape[1]);
        double[] a = [.. keeps.data<double>()],
            b = [.. adds.data<double>()],
            dh = [.. slopes.data<double>()];
        double[] h = new double[a.Length],
            da = new double[a.Length],
            db = new double[a.Length];
        for (var i = 0; i < a.Length; i++)
        {
            h[i] = (i < channels ? 0 : a[i] * h[i - channels]) + b[i];
        }

        for (var i = a.Length - 1; i >= 0; i--)
        {
            db[i] = dh[i] + (i + channels < a.Length ? a[i + channels] * db[i + channels] : 0);
            da[i] = i < channels ? 0 : db[i] * h[i - channels];
        }

        return (Of(h), Of(da), Of(db));

        Tensor Of(double[] values) => tensor(values).reshape(rows, channels);
    }
}

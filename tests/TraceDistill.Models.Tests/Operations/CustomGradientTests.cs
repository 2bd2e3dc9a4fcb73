using TorchSharp;
using TraceDistill.Models.Operations;
using TraceDistill.Tests.Support;
using Xunit;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Tests.Operations;

public class CustomGradientTests
{
    [Fact]
    public void Finish_FunctionThatThrew_ThrowsItOnce()
    {
        using var scope = NewDisposeScope();

        Backward(TestDevice.Current, "of this pass");

        Assert.Equal("of this pass", Assert.Throws<InvalidOperationException>(CustomGradient.Finish).Message);
        CustomGradient.Finish();
    }

    [Fact]
    public void Finish_TwoFunctionsThatThrew_ThrowsTheFirst()
    {
        using var scope = NewDisposeScope();

        Backward(CPU, "the cause");
        Backward(CPU, "a consequence");

        Assert.Equal("the cause", Assert.Throws<InvalidOperationException>(CustomGradient.Finish).Message);
        CustomGradient.Finish();
    }

    /// <summary>Two lanes: one ends its pass while the other's failure waits to be thrown.</summary>
    [Fact]
    public void Finish_FunctionOfAnotherThreadThrew_ThrowsThereAlone()
    {
        using Barrier failed = new(2),
            ended = new(2);
        Exception? here = null,
            there = null;
        var lane = new Thread(() =>
        {
            using var scope = NewDisposeScope();
            Backward(CPU, "of the other lane");
            failed.SignalAndWait(TestContext.Current.CancellationToken);
            ended.SignalAndWait(TestContext.Current.CancellationToken);
            there = Record.Exception(CustomGradient.Finish);
        });
        lane.Start();
        failed.SignalAndWait(TestContext.Current.CancellationToken);
        here = Record.Exception(CustomGradient.Finish);
        ended.SignalAndWait(TestContext.Current.CancellationToken);
        lane.Join();

        Assert.Null(here);
        Assert.Equal("of the other lane", Assert.IsType<InvalidOperationException>(there).Message);
    }

    static void Backward(Device device, string message) =>
        Failing.apply(ones(3, device: device).requires_grad_(true), message).sum().backward();

    sealed class Failing : SingleTensorFunction<Failing>
    {
        public override string Name => "failing";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data("message", vars[1]);
            return ((Tensor)vars[0]).clone();
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var message = (string)ctx.get_data("message");
            return CustomGradient.Of(ctx, gradOutput, 2, (_, _) => throw new InvalidOperationException(message));
        }
    }
}

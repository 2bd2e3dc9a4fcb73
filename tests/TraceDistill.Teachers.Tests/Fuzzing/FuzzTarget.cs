using TraceDistill.TestServer.Fuzzing;
using Xunit;

namespace TraceDistill.Teachers.Tests.Fuzzing;

/// <summary>Something that reads bytes from outside, and good bytes for it.</summary>
/// <param name="Name">Name of the reader.</param>
/// <param name="Inputs">Good bytes.</param>
/// <param name="Read">Reads bytes, good or bad. What it throws is a crash, unless it is of the kinds that are documented.</param>
/// <param name="IsDocumented">Returns whether an exception is one of them.</param>
/// <param name="MostBytes">Memory that one input may cost, beyond a multiple of its length.</param>
sealed record FuzzTarget(
    string Name,
    IReadOnlyList<byte[]> Inputs,
    Func<byte[], Task> Read,
    Func<Exception, bool> IsDocumented,
    long MostBytes
)
{
    const int MostPerByte = 512;

    /// <summary>Reads so many damaged inputs.</summary>
    public async Task RunAsync(int inputs, ulong seed, CancellationToken cancellationToken)
    {
        foreach (var good in Inputs)
        {
            await Read(good);
        }

        for (var i = 0; i < inputs; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var damaged = Mutation.Of(Inputs[i % Inputs.Count], (seed << 32) + (ulong)i);
            var allocated = GC.GetTotalAllocatedBytes();
            try
            {
                await Read(damaged);
            }
            catch (Exception e) when (!IsDocumented(e))
            {
                Assert.Fail($"{Name}, input {i} of seed {seed}: {e}");
            }
            catch (Exception e)
            {
                Assert.False(
                    e.Message.Contains('\n', StringComparison.Ordinal),
                    $"{Name}, input {i} of seed {seed}: more than one line: {e.Message}"
                );
            }

            var spent = GC.GetTotalAllocatedBytes() - allocated;
            Assert.True(
                spent <= MostBytes + ((long)damaged.Length * MostPerByte),
                $"{Name}, input {i} of seed {seed}: {spent} bytes of memory for {damaged.Length}"
            );
        }
    }
}

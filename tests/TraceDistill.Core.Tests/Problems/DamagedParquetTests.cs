using TraceDistill.Core.Errors;
using TraceDistill.Core.Problems;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Core.Tests.Problems;

/// <summary>Footers that a Parquet reader without doubts reads for ever, or makes room for.</summary>
public sealed class DamagedParquetTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 60_000)]
    [InlineData("15 FF FF", "a number that does not end")]
    [InlineData("19 FB FF FF FF FF 07 11 00", "a list of two thousand million truth values in a field that no version knows")]
    [InlineData("29 FC FF FF FF FF 07 00", "a schema of two thousand million empty elements")]
    [InlineData("28 FF FF FF FF 07", "a schema that is a text of two gigabytes")]
    [InlineData("9C 9C 9C 9C 9C 9C 9C 9C", "structures within structures")]
    [InlineData("", "nothing")]
    public async Task Read_FooterThatIsNone_IsRefusedAtOnce(string footer, string what)
    {
        var bytes = Convert.FromHexString(footer.Replace(" ", "", StringComparison.Ordinal));
        var path = _folder.File("problems.parquet");
        await File.WriteAllBytesAsync(path, [.. "PAR1"u8, .. bytes, .. BitConverter.GetBytes(bytes.Length), .. "PAR1"u8], TestContext.Current.CancellationToken);

        var error = await Record.ExceptionAsync(async () =>
        {
            await foreach (var _ in ProblemReader.ReadAsync(path, TestContext.Current.CancellationToken))
            {
            }
        });

        Assert.True(error is InvalidInputException, what);
        Assert.Contains("problems.parquet: not a whole, readable Parquet file", error.Message);
    }
}

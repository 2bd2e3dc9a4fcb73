using TraceDistill.Data.Problems.Files;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Problems.Files;

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
    [InlineData("15 02 19 1C 48 01 61 00 16 00 19 0C 00", "a schema without columns")]
    [InlineData("15 02 19 1C 48 01 61 15 01 00 16 00 19 0C 00", "a schema of -1 columns")]
    public Task Read_FooterThatIsNone_IsRefusedAtOnce(string footer, string what) =>
        IsRefusedAsync(
            Convert.FromHexString(footer.Replace(" ", "", StringComparison.Ordinal)),
            what,
            TestContext.Current.CancellationToken
        );

    [Fact]
    public Task Read_SchemaDeeperThanTheStack_IsRefused()
    {
        const int Levels = 100_000;
        var level = Convert.FromHexString("480161150200");
        return IsRefusedAsync(
            [
                .. Convert.FromHexString("150219FCA08D06"),
                .. Enumerable.Repeat(level, Levels - 1).SelectMany(bytes => bytes),
                .. Convert.FromHexString("48016100" + "1600190C00"),
            ],
            "columns within columns",
            TestContext.Current.CancellationToken
        );
    }

    async Task IsRefusedAsync(byte[] bytes, string what, CancellationToken cancellationToken)
    {
        var path = _folder.File("problems.parquet");
        await File.WriteAllBytesAsync(
            path,
            [.. "PAR1"u8, .. bytes, .. BitConverter.GetBytes(bytes.Length), .. "PAR1"u8],
            cancellationToken
        );

        var error = await Record.ExceptionAsync(async () =>
        {
            await foreach (var _ in ProblemReader.ReadAsync(path, cancellationToken)) { }
        });

        Assert.True(error is InvalidInputException, what);
        Assert.Contains("problems.parquet: not a whole, readable Parquet file", error.Message);
    }
}

using System.Buffers.Binary;
using System.Text;
using TraceDistill.Inference;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Models.Tests.Checkpoints;

/// <summary>Files of a model with bytes changed, cut and exchanged for huge numbers: each is read, or refused in one line.</summary>
public sealed class HostileFilesTests : IDisposable
{
    const string Marks = "{}[]\",:0-9e\\ud";

    static readonly string[] Numbers =
    [
        "0",
        "-1",
        "4294967296",
        "2147483647",
        "65536",
        "1e400",
        "-1e400",
        "1e-400",
        "null",
        "true",
        "\"x\"",
        "[]",
        "{}",
        "[9]",
        "NaN",
        "1.5",
    ];

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("config.json", 1)]
    [InlineData("generation_config.json", 2)]
    [InlineData("model.safetensors", 3)]
    [InlineData("model.safetensors.index.json", 4)]
    public void Open_DamagedFile_IsReadOrRefusedInOneLine(string name, int seed)
    {
        using var parameters = TinyModel.Create();
        ModelDirectory.Save(
            _folder.Path,
            parameters,
            shardBytes: name.Contains("index", StringComparison.Ordinal) ? 20_000 : long.MaxValue
        );
        File.WriteAllText(_folder.File("generation_config.json"), """{"eos_token_id": [3, 7], "bos_token_id": 1, "temperature": 0.6}""");
        Attack(name, seed, () =>
        {
            var (_, weights) = ModelDirectory.Open(_folder.Path);
            weights.Dispose();
            GenerationConfig.Write(Directory.CreateDirectory(_folder.File("out")).FullName, _folder.Path, null, [3]);
        });
    }

    [Theory]
    [InlineData("adapter_config.json", 5)]
    [InlineData("adapter_model.safetensors", 6)]
    public void Open_DamagedAdapter_IsReadOrRefusedInOneLine(string name, int seed)
    {
        SampleAdapter(_folder.Path);
        var shapes = ModelParameters.Shapes(TinyModel.Awkward).ToList();
        Attack(name, seed, () => PeftAdapter.Open(_folder.Path, shapes).Dispose());
    }

    [Fact]
    public async Task Generate_ContextOfAHundredMillionPositions_TakesMemoryByNeed()
    {
        using var parameters = TinyModel.Create(TinyModel.Awkward with { MaxPositionEmbeddings = 1 << 27 });
        using var engine = new GenerationEngine(parameters, new EngineOptions { Threads = 1, CacheBytes = 1 << 20 });
        using var usual = TinyModel.Create();
        using var other = new GenerationEngine(usual, new EngineOptions { Threads = 1, CacheBytes = 1 << 20 });
        var request = new SequenceRequest
        {
            Prompt = TinyModel.Prompt(9, 1),
            MaxTokens = 20,
            Temperature = 0,
        };

        var found = await engine.GenerateAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal((await other.GenerateAsync(request, TestContext.Current.CancellationToken)).Tokens, found.Tokens);
        await Assert.ThrowsAsync<ContextLengthException>(() =>
            engine.GenerateAsync(request with { MaxTokens = int.MaxValue }, TestContext.Current.CancellationToken)
        );
    }

    [Fact]
    public void Allocate_MoreThanAnyMachineHas_IsOutOfMemory() =>
        Assert.Throws<InsufficientMemoryException>(() => new FloatBuffer(1L << 50));

    static void SampleAdapter(string folder)
    {
        using var model = TinyModel.Create();
        using var sample = SampleAdapters.Create(model, useDora: true);
        AdapterFiles.Save(folder, sample, "base");
    }

    void Attack(string name, int seed, Action open)
    {
        open();
        var original = File.ReadAllBytes(_folder.File(name));
        var random = new Random(seed);
        var refused = 0;
        const int Rounds = 400;
        for (var round = 0; round < Rounds; round++)
        {
            var bytes = Mutated(original, name.EndsWith(".safetensors", StringComparison.Ordinal), random);
            File.WriteAllBytes(_folder.File(name), bytes);
            var exception = Record.Exception(open);

            Assert.True(
                exception is null or InvalidInputException,
                $"{name}, round {round}: {exception}\n{Encoding.Latin1.GetString(bytes.AsSpan(0, Math.Min(bytes.Length, 3_000)))}"
            );
            Assert.DoesNotContain("\n", exception?.Message ?? "", StringComparison.Ordinal);
            refused += exception is null ? 0 : 1;
        }

        Assert.InRange(refused, Rounds / 10, Rounds);
    }

    static byte[] Mutated(byte[] original, bool isBinary, Random random)
    {
        if (isBinary)
        {
            // The header is what is worth attacking; behind it every byte is a weight.
            var header = (int)BinaryPrimitives.ReadUInt64LittleEndian(original);
            var text = Mutated(original[8..(8 + header)], isBinary: false, random);
            byte[] length = [.. original[..8]];
            BinaryPrimitives.WriteUInt64LittleEndian(
                length,
                random.Next(4) == 0 ? (ulong)random.NextInt64() << random.Next(3) : (ulong)text.Length
            );
            return [.. length, .. text, .. original[(8 + header)..^random.Next(2)]];
        }

        var json = Encoding.Latin1.GetString(original);
        switch (random.Next(4))
        {
            case 0:
                return original[..random.Next(original.Length)];
            case 1:
                byte[] bytes = [.. original];
                for (var change = random.Next(1, 4); change > 0; change--)
                {
                    bytes[random.Next(bytes.Length)] =
                        random.Next(2) == 0 ? (byte)random.Next(256) : (byte)Marks[random.Next(Marks.Length)];
                }

                return bytes;
            case 2:
                // A value for another one.
                var colons = Enumerable.Range(0, json.Length).Where(at => json[at] == ':').ToList();
                var colon = colons[random.Next(colons.Count)];
                var end = json.IndexOfAny([',', '}', '\n'], colon + 1);
                return Encoding.Latin1.GetBytes(
                    json[..(colon + 1)] + Numbers[random.Next(Numbers.Length)] + json[(end < 0 ? json.Length : end)..]
                );
            default:
                return Encoding.Latin1.GetBytes(
                    json.Insert(random.Next(json.Length), random.Next(2) == 0 ? "\\ud800" : new string('[', 200))
                );
        }
    }
}

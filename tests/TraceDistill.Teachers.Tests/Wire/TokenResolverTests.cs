using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Wire;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Teachers.Tests.Wire;

public sealed class TokenResolverTests
{
    // Two ids have the bytes of "ж": what the trainer learned, and an added token of that content.
    static readonly Tokenizer Vocabulary = Train();

    [Fact]
    public void Resolve_UniqueMatches_GetTheirIdsAndTheOthersJoinTheTail()
    {
        var resolved = new TokenResolver(Vocabulary).Resolve(
            new TokenLogprobs
            {
                K = 3,
                TokenIds = [0, 1],
                Logprobs = [-0.5f, -0.6f],
                TopIds = [2, 0, 1, 1, 3, -1],
                TopLogprobs = [-0.1f, -0.5f, -3, -0.6f, -2, float.NegativeInfinity],
                TokenBytes = ["a"u8.ToArray(), "ac"u8.ToArray(), "ж"u8.ToArray(), "unknown"u8.ToArray()],
            }
        )!;

        var (a, ac) = (Id("a"), Id("ac"));
        Assert.Null(resolved.TokenBytes);
        Assert.Equal([a, ac], resolved.TokenIds);
        Assert.Equal([a, ac, -1, ac, -1, -1], resolved.TopIds);
        Assert.Equal([-0.5f, -3, float.NegativeInfinity, -0.6f, float.NegativeInfinity, float.NegativeInfinity], resolved.TopLogprobs);
    }

    [Theory]
    [InlineData("ж")]
    [InlineData("unknown")]
    public void Resolve_DrawnTokenWithoutAUniqueMatch_LeavesNoSoftTargets(string token) =>
        Assert.Null(
            new TokenResolver(Vocabulary).Resolve(
                new TokenLogprobs
                {
                    K = 1,
                    TokenIds = [0],
                    Logprobs = [-1],
                    TopIds = [0],
                    TopLogprobs = [-1],
                    TokenBytes = [System.Text.Encoding.UTF8.GetBytes(token)],
                }
            )
        );

    /// <summary>
    /// SentencePiece's vocabularies have each byte of ASCII twice: as the character, and as a stand-in for characters without a token.
    /// </summary>
    [Fact]
    public void Resolve_BytesOfACharacter_AreTheCharactersTokenAndNotTheByteThatStandsIn()
    {
        using var directory = new TemporaryDirectory();
        string[] tokens = ["<unk>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>"), "8", "▁", "▁8"];
        var vocabulary = string.Join(',', tokens.Select((token, id) => $"\"{token}\":{id}"));
        File.WriteAllText(
            directory.File("tokenizer.json"),
            """
            {"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},
               {"type":"ByteFallback"},{"type":"Fuse"}]},
            "model":{"type":"BPE","unk_token":"<unk>","byte_fallback":true,"fuse_unk":true,"merges":["▁ 8"],"vocab":{VOCABULARY}}}
            """.Replace("VOCABULARY", vocabulary, StringComparison.Ordinal)
        );
        var resolved = new TokenResolver(Tokenizer.Load(directory.Path)).Resolve(
            new TokenLogprobs
            {
                K = 2,
                TokenIds = [0, 1, 2],
                Logprobs = [-1, -1, -1],
                TopIds = [0, 1, 1, 0, 2, 0],
                TopLogprobs = [-1, -2, -1, -2, -1, -2],
                TokenBytes = ["8"u8.ToArray(), " 8"u8.ToArray(), "\n"u8.ToArray()],
            }
        )!;

        Assert.Equal(["8", "▁8", "<0x0A>"], resolved.TokenIds.Select(id => tokens[id]));
        Assert.Equal(["8", "▁8", "▁8", "8", "<0x0A>", "8"], resolved.TopIds.Select(id => tokens[id]));
    }

    [Fact]
    public void Resolve_IdsOfTheEmbeddingsPadding_JoinTheTail()
    {
        var padding = Vocabulary.VocabularySize;
        var logprobs = new TokenLogprobs
        {
            K = 2,
            TokenIds = [7],
            Logprobs = [-1],
            TopIds = [padding, 7],
            TopLogprobs = [-0.5f, -1],
        };

        var resolved = new TokenResolver(Vocabulary).Resolve(logprobs)!;

        Assert.Equal([7, -1], resolved.TopIds);
        Assert.Equal([-1, float.NegativeInfinity], resolved.TopLogprobs);
        Assert.Null(new TokenResolver(Vocabulary).Resolve(logprobs with { TokenIds = [padding] }));
    }

    [Fact]
    public void Resolve_TrueIds_AreLeftAlone()
    {
        var logprobs = new TokenLogprobs
        {
            K = 1,
            TokenIds = [7],
            Logprobs = [-1],
            TopIds = [7],
            TopLogprobs = [-1],
        };

        Assert.Same(logprobs, new TokenResolver(Vocabulary).Resolve(logprobs));
        Assert.Same(logprobs, new TokenResolver(tokenizer: null).Resolve(logprobs));
    }

    static int Id(string token) => Vocabulary.TryGetId(token, out var id) ? id : throw new InvalidOperationException(token);

    static Tokenizer Train()
    {
        using var folder = new TemporaryDirectory();
        BpeTrainer.Train(["ac", "ac", "ac", "ж", "ж", "ж"], 259, [new AddedToken("☃☃")], folder.Path);
        var file = folder.File("tokenizer.json");
        File.WriteAllText(file, File.ReadAllText(file).Replace("☃☃", "ж", StringComparison.Ordinal));
        return Tokenizer.Load(folder.Path);
    }
}

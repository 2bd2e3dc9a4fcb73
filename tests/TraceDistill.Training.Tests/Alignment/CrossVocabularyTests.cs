using FsCheck.Xunit;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using Xunit;

namespace TraceDistill.Training.Tests.Alignment;

/// <summary>Expected numbers are worked out by hand from the definition of a token's probability.</summary>
public sealed class CrossVocabularyTests : IDisposable
{
    static readonly float None = float.NegativeInfinity;
    readonly TemporaryDirectory _directory = new();
    readonly Tokenizer _bytes,
        _ab,
        _words,
        _otherWords;

    public CrossVocabularyTests()
    {
        _bytes = Train("bytes", "", 0);
        _ab = Train("ab", "ab", 1);
        _words = Train("words", "the cat sat on the mat, the cat ate the rat", 40);
        _otherWords = Train("otherWords", "then a fat bat sat at that mat and ate that", 40);
    }

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Align_StudentThatWritesATokenInPieces_HasTheChainRuleOfItsAlternatives()
    {
        var soft = Soft(_ab, _bytes, "abc", (0, [("ab", 0.5), ("a", 0.25), ("c", 0.125)]), (1, [("c", 0.75), ("a", 0.25)]));

        Expect(soft, 0, ("a", 0.75), ("c", 0.125));
        Expect(soft, 1, ("b", 0.5 / 0.75));
        Expect(soft, 2, ("c", 0.75), ("a", 0.25));
        Assert.Equal(Math.Log(0.125), soft.Tail[0], 1e-6);
        Assert.Equal(Math.Log(0.25 / 0.75), soft.Tail[1], 1e-6);
        Assert.True(soft.Tail[2] < -15, "nothing is left");

        void Expect(SoftTargets targets, int row, params (string Token, double Probability)[] expected) =>
            AssertRow(_bytes, targets, row, expected);
    }

    /// <summary>
    /// P(b | a) = 0.125 / (0.5 + 0.125): the drawn token is none of the alternatives, and keeps the probability that it was reported with.
    /// </summary>
    [Fact]
    public void Align_DrawnTokenOutsideTheAlternatives_KeepsItsOwnProbabilityAfterItsFirstPiece()
    {
        var trace = Trace(_ab, _ab.Encode("abc"), [(0, [("a", 0.5), ("c", 0.25)]), (1, [("c", 1.0)])]);
        trace.Logprobs!.Logprobs[0] = MathF.Log(0.125f);

        var soft = Aligner(_ab, _bytes).Align(trace).Soft!.Read();

        AssertRow(_bytes, soft, 0, ("a", 0.5), ("c", 0.25));
        AssertRow(_bytes, soft, 1, ("b", 0.2));
        Assert.Equal(Math.Log(0.8), soft.Tail[1], 1e-6);
    }

    /// <summary>With temperature 1/2 undone, probabilities of 0.8 and 0.2 were √0.8 and √0.2 before, to each other: 2/3 and 1/3.</summary>
    [Fact]
    public void Align_LogprobsAfterTemperature_AreTheModelsOwn()
    {
        var dataset = Dataset with { Logprobs = LogprobKind.Processed, Temperature = 0.5, VocabularySize = 2 };
        var trace = Trace(_ab, _ab.Encode("c"), [(0, [("c", 0.8), ("ab", 0.2)])]);

        var soft = new TokenAligner(_bytes, Chat(_bytes), dataset, "traces", topK: null, _ab).Align(trace).Soft!.Read();

        AssertRow(_bytes, soft, 0, ("c", 2.0 / 3), ("a", 1.0 / 3));
    }

    [Fact]
    public void Align_StudentThatWritesTokensAsOne_HasTheProductOfTheirProbabilities()
    {
        var soft = Soft(_bytes, _ab, "abc", (0, [("a", 0.5), ("b", 0.25)]), (1, [("b", 0.75), ("c", 0.125)]), (2, [("c", 1.0)]));

        AssertRow(_ab, soft, 0, ("ab", 0.5 * 0.75), ("b", 0.25));
        AssertRow(_ab, soft, 1, ("c", 1.0));
        Assert.Equal(Math.Log(1 - 0.375 - 0.25), soft.Tail[0], 1e-6);
    }

    [Fact]
    public void Align_AlternativesThatAreNoText_JoinTheTailAndAreKeptBeside()
    {
        var soft = Soft(_ab, _bytes, "c", (0, [("c", 0.5), ("<|tool|>", 0.25), ("a", 0.125), ("<|pad|>", 0.0625)]));

        AssertRow(_bytes, soft, 0, ("c", 0.5), ("a", 0.125));
        Assert.Equal([0.25f, 0.0625f, 0, 0], soft.Unmatched[..4]);
        Assert.Equal(Math.Log(0.375), soft.Tail[0], 1e-6);
    }

    /// <summary>Services report −9999 for what they hold impossible.</summary>
    [Theory]
    [InlineData(-9999f)]
    [InlineData(float.NegativeInfinity)]
    public void Align_ImpossibleAlternatives_LeaveTheTokensAfterThemToTheHardLoss(float logprob)
    {
        var trace = Trace(_ab, _ab.Encode("abc"), [(0, [("ab", 0.5)]), (1, [("c", 1.0)])]);
        trace.Logprobs!.TopLogprobs[0] = logprob;

        var soft = Aligner(_ab, _bytes).Align(trace).Soft!.Read();

        Assert.Equal(-1, soft.Ids[soft.K]);
        AssertRow(_bytes, soft, 2, ("c", 1.0));
        Assert.DoesNotContain(soft.Logprobs, float.IsNaN);
    }

    [Fact]
    public void Align_EndOfTheTeachersGeneration_IsTheStudents()
    {
        var soft = Soft(_ab, _bytes, "c", (0, [("c", 1.0)]), (1, [("<|stop|>", 0.75), ("a", 0.25)]));

        AssertRow(_bytes, soft, 1, ("<|end|>", 0.75), ("a", 0.25));
    }

    [Fact]
    public void Align_EndKeptByTheServer_IsACertainty()
    {
        var soft = Soft(_ab, _bytes, "c", (0, [("c", 1.0)]));

        AssertRow(_bytes, soft, 1, ("<|end|>", 1.0));
    }

    [Fact]
    public void Align_BytesThatAreNoText_LeaveTheHardLossOfTheText()
    {
        var trace = Trace(_ab, [200, 201], [(0, [("a", 1.0)])]);

        var aligner = Aligner(_ab, _bytes);
        var tokens = aligner.Align(trace with { Generation = "hi" });

        Assert.Null(tokens.Soft);
        Assert.Equal("hi<|end|>", _bytes.Decode(tokens.Ids.AsSpan(tokens.FirstTrained)));
        Assert.Equal(0, aligner.Survival!.Value.Positions);
        Assert.Equal(3, aligner.Survival.Value.Tokens);
    }

    [Fact]
    public void Survival_PartOfTheSoftTargets_IsCountedInTokensAndProbability()
    {
        var aligner = Aligner(_ab, _bytes);

        // Of what follows "a" the drawn token alone tells, with its own probability; 0.25 of the second row is a control token.
        aligner.Align(Trace(_ab, _ab.Encode("abc"), [(0, [("c", 0.5)]), (1, [("c", 0.5), ("<|tool|>", 0.25)])]));

        var survival = aligner.Survival!.Value;
        Assert.Equal((4, 4), (survival.Tokens, survival.SoftTokens));
        Assert.Equal((0.5 + 1 + 0.75 + 1, 0.5 + 1 + 0.5 + 1), (Math.Round(survival.ReportedMass, 6), Math.Round(survival.MappedMass, 6)));
    }

    [Property]
    public void Align_TheSameVocabulary_IsTheIdentity(int seed)
    {
        var random = new Random(seed);
        var trace = RandomTrace(_words, random);

        var aligned = new CrossVocabularyAligner(_words, _words, Chat(_words), topK: null).Align(trace, trace.Logprobs!);
        var known = new TokenAligner(_words, Chat(_words), Dataset, "traces", topK: null).Align(trace with { PromptTokenIds = [] });

        Assert.Equal(known.Ids, aligned.Ids);
        Assert.Equal(known.FirstTrained, aligned.FirstTrained);
        SoftTargets expected = known.Soft!.Read(),
            actual = aligned.Soft!.Read();
        Assert.Equal(expected.Ids, actual.Ids);
        Assert.All(expected.Logprobs.Zip(actual.Logprobs), pair => Assert.Equal(pair.First, pair.Second, 1e-6));
    }

    /// <summary>Tokens that were drawn otherwise than the tokenizer would cut them have the chain rule of their own text.</summary>
    [Fact]
    public void AlignTo_TokensCutOtherwise_HasTheChainRuleOfItsAlternatives()
    {
        var trace = Trace(_ab, _ab.Encode("abc"), [(0, [("ab", 0.5), ("a", 0.25), ("c", 0.125)]), (1, [("c", 0.75), ("a", 0.25)])]);
        int[] drawn = [Id(_ab, "a"), Id(_ab, "b"), Id(_ab, "c"), Id(_ab, "<|stop|>")];

        var soft = Aligner(_ab, _ab).AlignTo(new TraceTokens([1, 2, .. drawn], 2, Soft: null), trace)!.Read();

        AssertRow(_ab, soft, 0, ("a", 0.75), ("c", 0.125));
        AssertRow(_ab, soft, 1, ("b", 0.5 / 0.75));
        AssertRow(_ab, soft, 2, ("c", 0.75), ("a", 0.25));
        AssertRow(_ab, soft, 3, ("<|stop|>", 1.0));
    }

    [Fact]
    public void AlignTo_TagBeforeTheStudentsText_LeavesItsTokensToTheOthers()
    {
        var trace = Trace(_ab, _ab.Encode("abc"), [(0, [("ab", 0.5), ("c", 0.125)]), (1, [("c", 0.75)])]);
        int[] drawn = [.. _bytes.Encode("<x>abc"), Id(_bytes, "<|end|>")];

        var soft = Aligner(_ab, _bytes).AlignTo(new TraceTokens([1, .. drawn], 1, Soft: null), trace)!.Read();

        Assert.All(Enumerable.Range(0, 3), row => Assert.Equal(0, soft.Present(row)));
        AssertRow(_bytes, soft, 3, ("a", 0.5), ("c", 0.125));
        AssertRow(_bytes, soft, 4, ("b", 1.0));
        AssertRow(_bytes, soft, 5, ("c", 0.75));
        AssertRow(_bytes, soft, 6, ("<|end|>", 1.0));
    }

    [Theory]
    [InlineData("abd")]
    [InlineData("abcc")]
    [InlineData("")]
    public void AlignTo_AnotherText_HasNone(string text)
    {
        var trace = Trace(_ab, _ab.Encode("abc"), [(0, [("ab", 0.5)]), (1, [("c", 0.75)])]);
        var aligner = Aligner(_ab, _bytes);

        Assert.Null(aligner.AlignTo(new TraceTokens([1, .. _bytes.Encode(text + "d"), Id(_bytes, "<|end|>")], 1, Soft: null), trace));

        Assert.Equal(0, aligner.Survival!.Value.SoftTokens);
    }

    [Property]
    public void AlignTo_ItsOwnSequence_IsWhatAlignMakes(int seed)
    {
        var trace = RandomTrace(_words, new Random(seed));
        var sequence = Aligner(_words, _otherWords).Align(trace);

        var (same, onto) = (
            Aligner(_words, _otherWords).AlignTo(sequence, trace),
            new CrossVocabularyAligner(_words, _otherWords, Chat(_otherWords), topK: null).Onto(
                sequence.Ids[sequence.FirstTrained..],
                trace.Logprobs!
            )
        );

        var expected = sequence.Soft!.Read();
        foreach (var soft in new[] { same!.Read(), onto!.Read() })
        {
            Assert.Equal(expected.Ids, soft.Ids);
            Assert.Equal(expected.Logprobs, soft.Logprobs);
            Assert.Equal(expected.Tail, soft.Tail);
        }
    }

    [Property]
    public void Align_OtherVocabulary_NeverMapsToOtherBytesNorToMoreThanAll(int seed)
    {
        var random = new Random(seed);
        var trace = RandomTrace(_words, random);

        var tokens = Aligner(_words, _otherWords).Align(trace);

        Assert.Equal(trace.Generation + "<|end|>", _otherWords.Decode(tokens.Ids.AsSpan(tokens.FirstTrained)));
        var soft = tokens.Soft!.Read();
        int[] teacherStarts = Starts(_words, trace.Logprobs!.TokenIds),
            studentStarts = Starts(_otherWords, tokens.Ids[tokens.FirstTrained..^1]);
        for (var j = 0; j < studentStarts.Length - 1; j++)
        {
            var entries = Enumerable.Range(j * soft.K, soft.K).Where(at => soft.Ids[at] >= 0).ToList();
            Assert.True(entries.Sum(at => Math.Exp(soft.Logprobs[at])) <= 1 + 1e-5, "more than all");
            var i = Array.IndexOf(teacherStarts, studentStarts[j]);
            if (i < 0)
            {
                continue;
            }

            // What a target spells is the beginning of what some alternative of the teacher spells, or the text itself goes on so.
            var said = Enumerable
                .Range(i * 4, 4)
                .Select(at => _words.GetBytes(trace.Logprobs.TopIds[at]).ToArray())
                .Append(System.Text.Encoding.UTF8.GetBytes(trace.Generation)[studentStarts[j]..])
                .ToList();
            Assert.All(entries, at => Assert.Contains(said, bytes => bytes.AsSpan().StartsWith(_otherWords.GetBytes(soft.Ids[at]))));
        }
    }

    static readonly DatasetDescription Dataset = new()
    {
        Teacher = "t",
        TokenIdentity = TokenIdentity.Ids,
        TokenizerHash = "known",
        TopK = 4,
    };

    static int[] Starts(Tokenizer tokenizer, int[] ids) =>
        [.. ids.Aggregate(new List<int> { 0 }, (starts, id) => [.. starts, starts[^1] + tokenizer.GetBytes(id).Length])];

    static void AssertRow(Tokenizer tokenizer, SoftTargets targets, int row, params (string Token, double Probability)[] expected)
    {
        var entries = Enumerable.Range(row * targets.K, targets.K).Where(at => targets.Ids[at] >= 0).ToList();
        Assert.Equal(expected.Select(entry => entry.Token), entries.Select(at => tokenizer.Decode([targets.Ids[at]])));
        Assert.All(expected.Zip(entries), pair => Assert.Equal(pair.First.Probability, Math.Exp(targets.Logprobs[pair.Second]), 1e-6));
    }

    static SoftTargets Soft(
        Tokenizer teacher,
        Tokenizer student,
        string text,
        params (int Token, (string Token, double Probability)[] Top)[] rows
    )
    {
        int[] ids =
        [
            .. teacher.Encode(text),
            .. rows.Length > teacher.Encode(text).Length ? [Id(teacher, rows[^1].Top[0].Token)] : Array.Empty<int>(),
        ];
        return Aligner(teacher, student).Align(Trace(teacher, ids, rows)).Soft!.Read();
    }

    static TokenAligner Aligner(Tokenizer teacher, Tokenizer student) =>
        new(student, Chat(student), Dataset, "traces", topK: null, teacher);

    static ChatSequence Chat(Tokenizer tokenizer) =>
        new(tokenizer, ChatTemplate.Parse("{% for m in messages %}{{ m.content }};{% endfor %}{{ '' }}", "template"));

    static int Id(Tokenizer tokenizer, string token) => tokenizer.TryGetId(token, out var id) ? id : Assert.Single(tokenizer.Encode(token));

    static Trace Trace(Tokenizer teacher, int[] ids, (int Token, (string Token, double Probability)[] Top)[] rows)
    {
        const int K = 4;
        var logprobs = new TokenLogprobs
        {
            K = K,
            TokenIds = ids,
            Logprobs = new float[ids.Length],
            TopIds = [.. Enumerable.Repeat(-1, ids.Length * K)],
            TopLogprobs = [.. Enumerable.Repeat(None, ids.Length * K)],
        };
        foreach (var (row, top) in rows)
        {
            foreach (var (rank, (token, probability)) in top.Index())
            {
                var id = Id(teacher, token);
                (logprobs.TopIds[(row * K) + rank], logprobs.TopLogprobs[(row * K) + rank]) = (id, (float)Math.Log(probability));
                logprobs.Logprobs[row] = id == ids[row] ? (float)Math.Log(probability) : logprobs.Logprobs[row];
            }
        }

        return Of(logprobs, teacher.Decode(ids, skipSpecialTokens: true));
    }

    /// <summary>A few words, with four random alternatives a token of which the drawn one may be none.</summary>
    static Trace RandomTrace(Tokenizer teacher, Random random)
    {
        string[] words = ["the", " cat", " sat", "that", " mat", "é", "🙂", " ate", "x", "\n"];
        var text = string.Concat(Enumerable.Range(0, random.Next(1, 8)).Select(_ => words[random.Next(words.Length)]));
        var ids = teacher.Encode(text);
        const int K = 4;
        var (topIds, topLogprobs, drawn) = (new List<int>(), new List<float>(), new List<float>());
        foreach (var id in ids)
        {
            int[] others =
            [
                .. Enumerable
                    .Range(0, teacher.VocabularySize)
                    .Where(other => other != id && teacher.GetBytes(other).Length > 0 && !teacher.IsSpecial(other))
                    .OrderBy(_ => random.Next())
                    .Take(K),
            ];
            int[] four = random.Next(4) == 0 ? others : [id, .. others.Take(K - 1)];
            double[] weights = [.. four.Select(_ => random.NextDouble() + 0.01)];
            double[] probabilities = [.. weights.Select(weight => weight / (weights.Sum() + random.NextDouble())).OrderDescending()];
            topIds.AddRange(four);
            topLogprobs.AddRange(probabilities.Select(probability => (float)Math.Log(probability)));
            drawn.Add((float)Math.Log(four[0] == id ? probabilities[0] : 0.001));
        }

        return Of(
            new TokenLogprobs
            {
                K = K,
                TokenIds = ids,
                Logprobs = [.. drawn],
                TopIds = [.. topIds],
                TopLogprobs = [.. topLogprobs],
            },
            text
        );
    }

    static Trace Of(TokenLogprobs logprobs, string generation) =>
        new()
        {
            Id = "t1",
            ProblemId = "p",
            Source = "f",
            Messages = [new ChatMessage("user", "1+1?")],
            Reasoning = "",
            Answer = generation,
            Generation = generation,
            ExpectedAnswer = "",
            FinishReason = "stop",
            Verdict = "correct",
            Teacher = "t",
            Logprobs = logprobs,
        };

    Tokenizer Train(string name, string corpus, int merges)
    {
        AddedToken[] added = [new("<|end|>"), new("<|stop|>"), new("<|tool|>"), new("<|pad|>")];
        string[] tags = name == "bytes" ? ["<|end|>"] : ["<|end|>", "<|stop|>", "<|tool|>", "<|pad|>"];
        var folder = Directory.CreateDirectory(_directory.File(name)).FullName;
        BpeTrainer.Train([corpus], 256 + merges + tags.Length, [.. added.Where(token => tags.Contains(token.Content))], folder);
        File.WriteAllText(
            Path.Combine(folder, "tokenizer_config.json"),
            name == "ab" ? """{"eos_token":"<|stop|>"}""" : """{"eos_token":"<|end|>"}"""
        );
        return Tokenizer.Load(folder);
    }
}

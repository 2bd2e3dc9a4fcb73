using System.Text;
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

/// <summary>A byte-level teacher and a student of SentencePiece's kind: characters, byte fallback, a mark before every text.</summary>
public sealed class SentencePieceStudentTests : IDisposable
{
    const int K = 4;
    readonly TemporaryDirectory _directory = new();
    readonly Tokenizer _teacher,
        _student;
    readonly VocabularyMap _map;

    public SentencePieceStudentTests()
    {
        SentencePieceVocabulary.Write(_directory.File("tokenizer.json"));
        File.WriteAllText(_directory.File("tokenizer_config.json"), """{"eos_token":"</s>"}""");
        _student = Tokenizer.Load(_directory.Path);
        var folder = Directory.CreateDirectory(_directory.File("teacher")).FullName;
        BpeTrainer.Train(FuzzedText.Texts(seed: 3, 500), 700, [new("<|end|>")], folder);
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), """{"eos_token":"<|end|>"}""");
        _teacher = Tokenizer.Load(folder);
        _map = new VocabularyMap(_teacher, _student, _student.EndOfSequenceId!.Value);
    }

    public void Dispose() => _directory.Dispose();

    /// <summary>
    /// Over all byte strings of the teacher's: the spelling has their bytes, and a byte stands in only where the character has no token.
    /// </summary>
    [Fact]
    public void Of_EveryTokenOfTheTeacher_IsSpelledByItsBytesWithCharactersBeforeFallback()
    {
        var characters = Enumerable
            .Range(0, _student.VocabularySize)
            .Where(id => _student.NameOf(id) is { } name && name.EnumerateRunes().Count() == 1)
            .Select(id => _student.NameOf(id)!.Replace('▁', ' '))
            .ToHashSet();
        var unspelled = new List<string>();
        for (var id = 0; id < _teacher.VocabularySize; id++)
        {
            var (bytes, spelling) = (_teacher.GetBytes(id).ToArray(), _map.Of(id).ToArray());
            if (_teacher.IsSpecial(id))
            {
                continue;
            }

            if (spelling.Length == 0)
            {
                unspelled.AddRange(
                    bytes.Length == 1 || System.Text.Unicode.Utf8.IsValid(bytes) ? [Encoding.UTF8.GetString(bytes)] : Array.Empty<string>()
                );
                continue;
            }

            Assert.Equal(bytes, spelling.SelectMany(token => Bytes(_student.NameOf(token)!)));
            if (System.Text.Unicode.Utf8.IsValid(bytes))
            {
                var text = Encoding.UTF8.GetString(bytes);
                var fallbacks = spelling.Count(token => _student.NameOf(token)!.StartsWith("<0x", StringComparison.Ordinal));
                Assert.Equal(
                    text.EnumerateRunes().Where(rune => !characters.Contains(rune.ToString())).Sum(rune => rune.Utf8SequenceLength),
                    fallbacks
                );
            }
        }

        // Left out are pieces of characters that are no text by themselves, and text that the
        // student reads as something else: its mark, which is a space, and its control tokens.
        Assert.All(unspelled, text => Assert.True(text.Contains('▁') || text.Contains("<s>") || text.Contains("<think>"), text));

        // By the file's own spelling, not by the code under test.
        static byte[] Bytes(string name) =>
            name.StartsWith("<0x", StringComparison.Ordinal)
                ? [Convert.ToByte(name[3..5], 16)]
                : Encoding.UTF8.GetBytes(name.Replace('▁', ' '));
    }

    /// <summary>What Hugging Face's tokenizers give with the same file but for the mark in front.</summary>
    [Fact]
    public void EncodeWithin_FuzzedTexts_IsWhatHuggingFaceGivesWithoutTheMark()
    {
        var texts = FuzzedText.Texts(seed: 4, 300);
        var file = _directory.File("unmarked.json");
        File.WriteAllText(
            file,
            File.ReadAllText(_directory.File("tokenizer.json"))
                .Replace("""{"type":"Prepend","prepend":"▁"},""", "", StringComparison.Ordinal)
                .Replace("\"normalized\":true", "\"normalized\":false", StringComparison.Ordinal)
        );
        Assert.NotEqual(File.ReadAllText(file), File.ReadAllText(_directory.File("tokenizer.json")));
        texts = texts.ConvertAll(text => text.Replace("<think>", "", StringComparison.Ordinal));

        using var peer = new HuggingFaceTokenizer(file);

        Assert.Equal(texts.Select(peer.Encode), texts.Select(_student.EncodeWithin));
        Assert.Equal(texts.Select(peer.Encode), _student.EncodeWithin(texts));
    }

    /// <summary>
    /// The student's first token has the mark, as it will write it; the alternatives there are marked too, those behind it are not.
    /// </summary>
    [Fact]
    public void Align_FirstToken_HasItsAlternativesWithTheMarkAndTheOthersWithout()
    {
        var trace = Trace("7Hello", (0, ["7", "e", "4"]), (1, ["Hello", "e", "7"]));

        var aligner = new TokenAligner(_student, Chat(), Dataset, "traces", topK: null, _teacher);
        var tokens = aligner.Align(trace);

        var soft = tokens.Soft!.Read();
        var first = tokens.Ids[tokens.FirstTrained];
        Assert.StartsWith("▁", _student.NameOf(first));
        Assert.Equal(
            0.5,
            Probability(soft, 0, id => id == first || _student.NameOf(first) == "▁" && _student.NameOf(id) == "▁"),
            _student.NameOf(first) == "▁" ? 0.5 : 1e-6
        );
        Assert.All(Entries(soft, 0), id => Assert.StartsWith("▁", _student.NameOf(id)));
        var second = Enumerable
            .Range(0, tokens.Trained)
            .First(row => _student.NameOf(tokens.Ids[tokens.FirstTrained + row])!.StartsWith('H'));
        Assert.Contains(Entries(soft, second), id => _student.NameOf(id)!.StartsWith('e'));
        Assert.All(Entries(soft, second), id => Assert.DoesNotContain("▁", _student.NameOf(id)));
        Assert.Equal(1, aligner.Survival!.Value.Mass, 1e-6);
    }

    /// <summary>
    /// The mark before a teacher's text is its tokenizer's: the student's answer begins as it will write it, with one of its own or none.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Align_TeacherThatPutsAMarkBeforeItsTexts_LeavesItsMarkOut(bool isMarkedStudent)
    {
        string[] tokens = ["▁", "Q", "Z", "J", "V", "▁Q", "▁Z", "▁J", "ZZ"];
        string[] merges = ["▁ Q", "▁ Z", "▁ J"];
        var teacher = SentencePiece("teacher-of-marks", tokens[..^1], merges);
        var student = isMarkedStudent ? SentencePiece("student-of-marks", tokens, [.. merges, "Z Z"]) : _teacher;
        const string Text = "QZ";
        int[] ids = [.. teacher.Encode(Text), teacher.EndOfSequenceId!.Value];
        int[] alternatives = [.. new[] { "▁Q", "▁Z", "J", "V" }.Select(token => teacher.TryGetId(token, out var id) ? id : -1)];
        float[] shares = [0.5f, 0.25f, 0.15f, 0.1f];
        Assert.Equal(["▁Q", "Z", "</s>"], ids.Select(teacher.NameOf));
        var trace = Trace("x") with
        {
            Generation = Text,
            Logprobs = new TokenLogprobs
            {
                K = K,
                TokenIds = ids,
                Logprobs = [.. ids.Select(_ => MathF.Log(0.5f))],
                TopIds = [.. ids.SelectMany(id => alternatives.Skip(1).Prepend(id))],
                TopLogprobs = [.. ids.SelectMany(_ => shares.Select(share => MathF.Log(share)))],
            },
        };
        var dataset = Dataset with { TokenizerHash = teacher.Hash };

        var sequence = new TokenAligner(student, Chat(student), dataset, "traces", topK: null, teacher).Align(trace);

        Assert.Equal([.. student.Encode(Text), student.EndOfSequenceId!.Value], sequence.Ids[sequence.FirstTrained..]);
        var soft = sequence.Soft!.Read();
        int[] first = [.. new[] { "Q", "Z", "J", "V" }.Select(text => student.Encode(text)[0])];
        foreach (var id in first.Distinct())
        {
            var expected = shares.Zip(first).Where(pair => pair.Second == id).Sum(pair => pair.First);
            Assert.Equal(expected, Probability(soft, 0, other => other == id), 1e-6);
        }
    }

    /// <summary>A vocabulary of SentencePiece's kind: bytes, and these.</summary>
    Tokenizer SentencePiece(string name, string[] tokens, string[] merges)
    {
        var folder = Directory.CreateDirectory(_directory.File(name)).FullName;
        string[] all = ["<unk>", "</s>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>"), .. tokens];
        var vocabulary = string.Join(',', all.Select((token, id) => $"\"{token}\":{id}"));
        File.WriteAllText(
            Path.Combine(folder, "tokenizer.json"),
            $$"""
            {"normalizer":{{SentencePieceVocabulary.Legacy}},"decoder":{{SentencePieceVocabulary.Decoder}},
             "added_tokens":[{"id":1,"content":"</s>","special":true}],
            "model":{"type":"BPE","unk_token":"<unk>","byte_fallback":true,"fuse_unk":true,"merges":["{{string.Join(
                "\",\"",
                merges
            )}}"],"vocab":{ {{vocabulary}} } } }
            """
        );
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), """{"eos_token":"</s>"}""");
        return Tokenizer.Load(folder);
    }

    static DatasetDescription Dataset =>
        new()
        {
            Teacher = "t",
            TokenIdentity = TokenIdentity.Ids,
            TokenizerHash = "known",
            TopK = K,
        };

    static IEnumerable<int> Entries(SoftTargets soft, int row) => soft.Ids.Skip(row * soft.K).Take(soft.K).Where(id => id >= 0);

    static double Probability(SoftTargets soft, int row, Func<int, bool> which) =>
        Enumerable.Range(row * soft.K, soft.K).Where(at => soft.Ids[at] >= 0 && which(soft.Ids[at])).Sum(at => Math.Exp(soft.Logprobs[at]));

    ChatSequence Chat(Tokenizer? student = null) =>
        new(student ?? _student, ChatTemplate.Parse("{% for m in messages %}{{ m.content }}{% endfor %}", "template"));

    /// <summary>Each row 1/2, 1/4, 1/8 … for its alternatives; the last row ends.</summary>
    Trace Trace(string text, params (int Row, string[] Top)[] rows)
    {
        int[] ids = [.. _teacher.Encode(text), _teacher.EndOfSequenceId!.Value];
        var logprobs = new TokenLogprobs
        {
            K = K,
            TokenIds = ids,
            Logprobs = [.. ids.Select(_ => MathF.Log(0.5f))],
            TopIds = [.. Enumerable.Repeat(-1, ids.Length * K)],
            TopLogprobs = [.. Enumerable.Repeat(float.NegativeInfinity, ids.Length * K)],
        };
        for (var t = 0; t < ids.Length; t++)
        {
            (logprobs.TopIds[t * K], logprobs.TopLogprobs[t * K]) = (ids[t], MathF.Log(0.5f));
        }

        foreach (var (row, top) in rows)
        {
            foreach (var (rank, token) in top.Skip(1).Index())
            {
                (logprobs.TopIds[(row * K) + rank + 1], logprobs.TopLogprobs[(row * K) + rank + 1]) = (
                    _teacher.Encode(token)[0],
                    MathF.Log(0.25f / (rank + 1))
                );
            }
        }

        return new Trace
        {
            Id = "t1",
            ProblemId = "p",
            Source = "f",
            Messages = [new ChatMessage("user", "1+1?")],
            Reasoning = "",
            Answer = text,
            Generation = text,
            ExpectedAnswer = "",
            FinishReason = "stop",
            Verdict = "correct",
            Teacher = "t",
            Logprobs = logprobs,
        };
    }
}

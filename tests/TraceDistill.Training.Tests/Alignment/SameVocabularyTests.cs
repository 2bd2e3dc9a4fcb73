using System.Globalization;
using System.Text.Json;
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

/// <summary>
/// A student with the teacher's vocabulary and another chat template, of published templates.
/// Expected prompts are the recorded renderings of Jinja2.
/// </summary>
public sealed class SameVocabularyTests : IDisposable
{
    const string Qwen3 = "Qwen-Qwen3-0.6B",
        R1 = "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
        Llama = "meta-llama-Llama-3.2-3B-Instruct";
    const string Think = "<think>\nAdd one.\n</think>\n\n2";

    static readonly string[] SpecialTokens =
    [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|begin_of_text|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|end_of_text|>",
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
    ];

    readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>
    /// Who opens the reasoning and what ends an answer differ from template to template; the student is trained as it will be served.
    /// </summary>
    [Theory]
    [InlineData(Qwen3, R1, Think, "Add one.\n</think>\n\n2<｜end▁of▁sentence｜>", 2, 0)]
    [InlineData(R1, Qwen3, "Add one.\n</think>\n\n2", "<think>\nAdd one.\n</think>\n\n2<|im_end|>", 0, 2)]
    [InlineData(R1, Llama, "Add one.\n</think>\n\n2", "<think>\nAdd one.\n</think>\n\n2<|eot_id|>", 0, 2)]
    [InlineData(Llama, R1, "Add one.\n</think>\n\n2", "Add one.\n</think>\n\n2<｜end▁of▁sentence｜>", 0, 0)]
    [InlineData(Qwen3, Llama, Think, Think + "<|eot_id|>", 0, 0)]
    [InlineData(Llama, R1, "2", "</think>\n\n2<｜end▁of▁sentence｜>", 0, 3)]
    [InlineData(Llama, Qwen3, "2", "2<|im_end|>", 0, 0)]
    [Trait("Mistake", "training on <think> prefills")]
    public void Align_AnotherTemplate_IsTheStudentsPromptAndEndAroundTheTeachersIds(
        string teacher,
        string student,
        string completion,
        string trained,
        int left,
        int added
    )
    {
        var (teacherChat, tokenizer) = Model(teacher);
        var (chat, own) = Model(student);
        var trace = TraceOf(teacherChat, tokenizer, completion, out var prompt);
        var aligner = new TokenAligner(own, chat, Described(tokenizer, teacherChat), "traces", topK: null, tokenizer);

        var tokens = aligner.Align(trace);

        Assert.Equal(Recorded(student), own.Decode(tokens.Ids.AsSpan(0, tokens.FirstTrained)));
        Assert.Equal(trained, own.Decode(tokens.Ids.AsSpan(tokens.FirstTrained)));
        Assert.NotEqual(prompt, tokens.Ids[..tokens.FirstTrained]);

        // The teacher's ids and their rows stand where they stood; what it did not write has none; the end's row names the student's end.
        var (soft, given) = (tokens.Soft!.Read(), trace.Logprobs!);
        Assert.Equal(given.TokenIds[left..^1], tokens.Ids[(tokens.FirstTrained + added)..^1]);
        Assert.All(soft.Ids[..(added * soft.K)], id => Assert.Equal(-1, id));
        Assert.Equal(given.TopIds[(left * soft.K)..^soft.K], soft.Ids[(added * soft.K)..^soft.K]);
        Assert.Equal(given.TopLogprobs[(left * soft.K)..^soft.K], soft.Logprobs[(added * soft.K)..^soft.K]);
        Assert.Equal([chat.EndOfSequence, 'z'], soft.Ids[^2..]);
        Assert.Equal(0.75, Math.Exp(soft.Logprobs[^2]), 1e-6);
        Assert.Contains("another than the teacher's, 1 prompt rendered with it", aligner.DescribeTemplates());
        Assert.Equal(
            teacherChat.EndOfSequence != chat.EndOfSequence,
            aligner.DescribeTemplates().Contains($"in place of {tokenizer.NameOf(teacherChat.EndOfSequence)}")
        );
    }

    /// <summary>
    /// A tag that ends within one of the teacher's tokens cannot be taken off it: the text is tokenized anew, and aligned by its bytes.
    /// </summary>
    [Fact]
    public void Align_TagThatEndsWithinAToken_IsAlignedByBytes()
    {
        BpeTrainer.Train(Enumerable.Repeat("a>(b", 50), 258, [new("<|end|>")], _directory.Path);
        File.WriteAllText(_directory.File("tokenizer_config.json"), """{"eos_token":"<|end|>"}""");
        var tokenizer = Tokenizer.Load(_directory.Path);
        var (teacherChat, chat) = (Chat(""), Chat("<think>"));
        var trace = TraceOf(teacherChat, tokenizer, "<think>(a)</think>2", out _);
        Assert.Contains(">(", trace.Logprobs!.TokenIds.Select(tokenizer.NameOf));
        var aligner = new TokenAligner(tokenizer, chat, Described(tokenizer, teacherChat), "traces", topK: null, tokenizer);

        var tokens = aligner.Align(trace);

        Assert.EndsWith("<think>", tokenizer.Decode(tokens.Ids.AsSpan(0, tokens.FirstTrained)));
        Assert.Equal("(a)</think>2<|end|>", tokenizer.Decode(Trained(tokens)));
        var soft = tokens.Soft!.Read();
        Assert.Equal([-1, Id(tokenizer, "a"), Id(tokenizer, ")")], Enumerable.Range(0, 3).Select(row => soft.Ids[row * soft.K]));
        Assert.Contains("1 completion tokenized anew, since the tag ends within a token", aligner.DescribeTemplates());

        ChatSequence Chat(string opened) =>
            new(tokenizer, ChatTemplate.Parse("{% for m in messages %}{{ m.content }}{% endfor %}" + opened + "{{ '' }}", "template"));
    }

    [Fact]
    [Trait("Mistake", "chat text rendered again and tokenized otherwise than the teacher generated")]
    public void Align_TheTeachersTemplate_KeepsThePromptThatItHad()
    {
        var (chat, tokenizer) = Model(Qwen3);
        var trace = TraceOf(chat, tokenizer, Think, out _) with { PromptTokenIds = [1, 2, 3] };
        var aligner = new TokenAligner(tokenizer, chat, Described(tokenizer, chat), "traces", topK: null, tokenizer);

        var tokens = aligner.Align(trace);

        Assert.Equal([1, 2, 3, .. trace.Logprobs!.TokenIds], tokens.Ids);
        Assert.Equal(
            "chat template: the student's is the teacher's, prompts stay as they were; completions end with <|im_end|>",
            aligner.DescribeTemplates()
        );
    }

    /// <summary>
    /// Alternatives that end the teacher's answer, at whatever place, are the student's end;
    /// with several of them in a row their probability is one.
    /// </summary>
    [Fact]
    public void Align_EndsAmongTheAlternatives_AreTheStudentsEnd()
    {
        var (teacherChat, teacher) = Model(Llama);
        var (chat, student) = Model(Qwen3);
        var trace = TraceOf(teacherChat, teacher, "2", out _);
        (trace.Logprobs!.TopIds[0], trace.Logprobs.TopIds[1]) = (Id(teacher, "<|eot_id|>"), Id(student, "<|im_end|>"));

        var soft = new TokenAligner(student, chat, Described(teacher, teacherChat), "traces", topK: null, teacher)
            .Align(trace)
            .Soft!.Read();

        Assert.Equal([chat.EndOfSequence, -1], soft.Ids[..2]);
        Assert.Equal(0.875, Math.Exp(soft.Logprobs[0]), 1e-6);
    }

    /// <summary>More tokens at the end of the vocabulary, as an embedding's padding has them, leave every id what it was.</summary>
    [Fact]
    public void Align_StudentWithMoreTokens_KeepsTheTeachersIds()
    {
        var (teacherChat, teacher) = Model(Qwen3);
        var (chat, student) = Model(Qwen3, more: ["<|pad1|>", "<|pad2|>"]);
        var trace = TraceOf(teacherChat, teacher, Think, out _);
        Assert.NotEqual(teacher.Hash, student.Hash);

        var aligner = new TokenAligner(student, chat, Described(teacher, teacherChat), "traces", topK: null, teacher);
        var tokens = aligner.Align(trace);

        Assert.Null(aligner.Survival);
        Assert.Equal(trace.Logprobs!.TokenIds, tokens.Ids[tokens.FirstTrained..]);
        Assert.Equal(trace.Logprobs.TopIds, tokens.Soft!.Read().Ids);
        Assert.False(teacher.Extends(student));
    }

    /// <summary>An answer that a limit cut off has no end to be compared with.</summary>
    [Fact]
    public void Align_CutOffTrace_GetsNoEndWhereNoneIsAskedFor()
    {
        var (teacherChat, teacher) = Model(Llama);
        var (chat, student) = Model(Qwen3);
        var trace = TraceOf(teacherChat, teacher, "2 and", out _);
        trace = trace with
        {
            Logprobs = trace.Logprobs! with
            {
                TokenIds = trace.Logprobs.TokenIds[..^1],
                TopIds = trace.Logprobs.TopIds[..^2],
                TopLogprobs = trace.Logprobs.TopLogprobs[..^2],
                Logprobs = trace.Logprobs.Logprobs[..^1],
            },
        };
        var aligner = new TokenAligner(student, chat, Described(teacher, teacherChat), "traces", topK: null, teacher);

        Assert.Equal("2 and", student.Decode(Trained(aligner.Align(trace, addsEnd: false))));
        Assert.Equal("2 and<|im_end|>", student.Decode(Trained(aligner.Align(trace))));
    }

    static int[] Trained(TraceTokens tokens) => tokens.Ids[tokens.FirstTrained..];

    static int Id(Tokenizer tokenizer, string token) => tokenizer.TryGetId(token, out var id) ? id : -1;

    static DatasetDescription Described(Tokenizer teacher, ChatSequence chat) =>
        new()
        {
            Teacher = "t",
            TokenIdentity = TokenIdentity.Ids,
            TokenizerHash = teacher.Hash,
            VocabularySize = teacher.VocabularySize,
            ChatTemplateHash = chat.TemplateHash,
            TopK = 2,
        };

    static JsonElement Case(string template)
    {
        using var recorded = JsonDocument.Parse(File.ReadAllText(TestPaths.SharedData("chat-templates/expected.json")));
        return recorded
            .RootElement.EnumerateArray()
            .First(item =>
                item.GetProperty("template").GetString() == template + ".jinja"
                && item.GetProperty("options").EnumerateObject().Count() == 4
                && item.GetProperty("options").GetProperty("add_generation_prompt").GetBoolean()
                && item.GetProperty("messages").GetArrayLength() == 1
            )
            .Clone();
    }

    static string Recorded(string template) => Case(template).GetProperty("rendered").GetString()!;

    static ChatMessage[] Question(string template) =>
        [
            .. Case(template)
                .GetProperty("messages")
                .EnumerateArray()
                .Select(turn => new ChatMessage(turn.GetProperty("role").GetString()!, turn.GetProperty("content").GetString()!)),
        ];

    static Trace TraceOf(ChatSequence chat, Tokenizer tokenizer, string completion, out int[] prompt)
    {
        int[] ids = [.. tokenizer.Encode(completion), chat.EndOfSequence];
        prompt = chat.Prompt(Question(Qwen3));
        return new Trace
        {
            Id = "t1",
            ProblemId = "p",
            Source = "f",
            Messages = Question(Qwen3),
            Reasoning = "",
            Answer = completion,
            Generation = completion,
            ExpectedAnswer = "",
            FinishReason = "stop",
            Verdict = "correct",
            Teacher = "t",
            PromptTokenIds = prompt,
            Logprobs = new TokenLogprobs
            {
                K = 2,
                TokenIds = ids,
                Logprobs = [.. ids.Select(_ => MathF.Log(0.75f))],
                TopIds = [.. ids.SelectMany(id => new[] { id, 'z' })],
                TopLogprobs = [.. ids.SelectMany(_ => new[] { MathF.Log(0.75f), MathF.Log(0.125f) })],
            },
        };
    }

    (ChatSequence Chat, Tokenizer Tokenizer) Model(string template, string[]? more = null)
    {
        var options = Case(template).GetProperty("options");
        var folder = Directory.CreateDirectory(_directory.File(template + more?.Length)).FullName;
        AddedToken[] added =
        [
            .. SpecialTokens.Select(token => new AddedToken(token)),
            new("<think>") { Special = false },
            new("</think>") { Special = false },
            .. (more ?? []).Select(token => new AddedToken(token)),
        ];
        BpeTrainer.Train([], 256 + added.Length, added, folder);
        File.WriteAllText(
            Path.Combine(folder, "tokenizer_config.json"),
            JsonSerializer.Serialize(
                new { bos_token = options.GetProperty("bos_token").GetString(), eos_token = options.GetProperty("eos_token").GetString() }
            )
        );
        File.WriteAllText(
            Path.Combine(folder, "chat_template.jinja"),
            File.ReadAllText(TestPaths.SharedData($"chat-templates/{template}.jinja"))
        );
        var time = new FixedTime(DateTimeOffset.Parse(options.GetProperty("now").GetString()! + "Z", CultureInfo.InvariantCulture));
        var tokenizer = Tokenizer.Load(folder);
        return (new ChatSequence(tokenizer, ChatTemplate.Load(folder, time)), tokenizer);
    }
}

using System.Globalization;
using System.Text.Json;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using Xunit;

namespace TraceDistill.Training.Tests.Alignment;

/// <summary>Training sequences in the templates of published models, with their special tokens in a vocabulary of bytes.</summary>
public sealed class PublishedChatTests : IDisposable
{
    const string Completion = "<think>\nAdd one.\n</think>\n\n2 ";

    static readonly string[] SpecialTokens =
    [
        "<s>",
        "<|endoftext|>",
        "<|end|>",
        "<|user|>",
        "<|system|>",
        "<|assistant|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|begin_of_text|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
    ];

    readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    /// <summary>
    /// What a server would be sent, as recorded from Jinja2, then what the teacher wrote, thinking and
    /// all, though many of these templates strip it from an answer that they render; then the end that
    /// the template gives an answer. Only QwQ and the R1 distillations open thinking in the prompt.
    /// </summary>
    [Theory]
    [InlineData("HuggingFaceTB-SmolLM3-3B", Completion + "<|im_end|>")]
    [InlineData("Qwen-QwQ-32B", Completion + "<|im_end|>")]
    [InlineData("Qwen-Qwen2.5-7B-Instruct", Completion + "<|im_end|>")]
    [InlineData("Qwen-Qwen3-0.6B", Completion + "<|im_end|>")]
    [InlineData("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "Add one.\n</think>\n\n2 <｜end▁of▁sentence｜>")]
    [InlineData("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", Completion + "<｜end▁of▁sentence｜>")]
    [InlineData("deepseek-ai-DeepSeek-V3.1", Completion + "<｜end▁of▁sentence｜>")]
    [InlineData("meta-llama-Llama-3.1-8B-Instruct", Completion + "<|eot_id|>")]
    [InlineData("meta-llama-Llama-3.2-3B-Instruct", Completion + "<|eot_id|>")]
    [InlineData("microsoft-Phi-3.5-mini-instruct", Completion + "<|end|>")]
    public void FromText_RecordedConversations_IsTheRecordedPromptAndTheAnswerAsWritten(string template, string trained)
    {
        using var recorded = JsonDocument.Parse(File.ReadAllText(TestPaths.SharedData("chat-templates/expected.json")));
        var cases = recorded
            .RootElement.EnumerateArray()
            .Where(item => item.GetProperty("template").GetString() == template + ".jinja" && IsPlainPrompt(item))
            .ToList();
        var options = cases[0].GetProperty("options");
        var (tokenizer, chat) = Student(
            File.ReadAllText(TestPaths.SharedData($"chat-templates/{template}.jinja")),
            options.GetProperty("bos_token").GetString()!,
            options.GetProperty("eos_token").GetString()!,
            DateTimeOffset.Parse(options.GetProperty("now").GetString()! + "Z", CultureInfo.InvariantCulture)
        );

        Assert.Contains(cases, item => item.GetProperty("name").GetString() == "think_history/prompt");
        Assert.All(cases, item =>
        {
            ChatMessage[] messages =
            [
                .. item.GetProperty("messages")
                    .EnumerateArray()
                    .Select(turn => new ChatMessage(turn.GetProperty("role").GetString()!, turn.GetProperty("content").GetString()!)),
            ];
            var sequence = chat.FromText(messages, Completion);

            Assert.Equal(item.GetProperty("rendered").GetString(), tokenizer.Decode(sequence.Ids.AsSpan(0, sequence.FirstTrained)));
            Assert.Equal(trained, tokenizer.Decode(sequence.Ids.AsSpan(sequence.FirstTrained)));
            Assert.Equal(chat.EndOfSequence, sequence.Ids[^1]);
        });
    }

    /// <summary>Earlier answers, such as those of examples in a prompt, are shown to the student and not taught.</summary>
    [Fact]
    public void FromText_EarlierAnswers_AreContextOnly()
    {
        var (tokenizer, chat) = Student(
            "{% for m in messages %}<|im_start|>{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}<|im_start|>assistant:",
            "",
            "<|im_end|>"
        );

        var sequence = chat.FromText([new("user", "1+1?"), new("assistant", "<think>b</think>2"), new("user", "2+2?")], "4");

        Assert.Equal("4<|im_end|>", tokenizer.Decode(sequence.Ids.AsSpan(sequence.FirstTrained)));
    }

    /// <summary>
    /// Without generation_config.json a server knows eos_token alone, and would let a student
    /// of Phi's template talk on after its answer: the student's files have to name the end.
    /// </summary>
    [Theory]
    [InlineData(new int[0], false)]
    [InlineData(new[] { 257, 258 }, true)]
    public void IsEndKnown_TemplateThatEndsAnswersOtherwiseThanTheTokenizer_TellsWhetherServersStopThere(int[] ends, bool known)
    {
        var (_, chat) = Student(
            "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}{% "
                + "if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",
            "<s>",
            "<|endoftext|>",
            ends: ends
        );

        Assert.Equal((258, known), (chat.EndOfSequence, chat.IsEndKnown));
    }

    /// <summary>A template that writes no token behind an answer, or takes no such conversation, leaves it to the tokenizer.</summary>
    [Theory]
    [InlineData("{% for m in messages %}{{ m.content }}\n{% endfor %}<|assistant|>")]
    [InlineData("{% for m in messages if m.role == 'user' %}{{ m.content }}<|end|>{% endfor %}")]
    [InlineData("{{ raise_exception('never') }}")]
    public void EndOfSequence_TemplateThatTellsNone_IsTheTokenizersOwn(string template) =>
        Assert.Equal(
            257,
            Student("{% if messages[-1].role == 'assistant' %}" + template + "{% endif %}", "<s>", "<|endoftext|>").Chat.EndOfSequence
        );

    static bool IsPlainPrompt(JsonElement item) =>
        item.GetProperty("options").EnumerateObject().Count() == 4
        && item.GetProperty("options").GetProperty("add_generation_prompt").GetBoolean()
        && item.GetProperty("messages").EnumerateArray().All(turn => turn.EnumerateObject().Count() == 2);

    (Tokenizer Tokenizer, ChatSequence Chat) Student(
        string template,
        string begin,
        string end,
        DateTimeOffset now = default,
        int[]? ends = null
    )
    {
        BpeTrainer.Train(
            [],
            260 + SpecialTokens.Length,
            [
                .. SpecialTokens.Select(token => new AddedToken(token)),
                new("<think>") { Special = false },
                new("</think>") { Special = false },
            ],
            _directory.Path
        );
        File.WriteAllText(_directory.File("tokenizer_config.json"), JsonSerializer.Serialize(new { bos_token = begin, eos_token = end }));
        File.WriteAllText(_directory.File("chat_template.jinja"), template);

        // As microsoft/Phi-3.5-mini-instruct has it: <|endoftext|> and <|end|>.
        File.WriteAllText(_directory.File("generation_config.json"), JsonSerializer.Serialize(new { eos_token_id = ends ?? [257, 258] }));
        var tokenizer = Tokenizer.Load(_directory.Path);
        return (tokenizer, new ChatSequence(tokenizer, ChatTemplate.Load(_directory.Path, new FixedTime(now))));
    }
}

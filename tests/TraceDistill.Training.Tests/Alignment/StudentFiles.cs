using TraceDistill.Tests.Support;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Tests.Alignment;

/// <summary>A student's tokenizer whose ids are byte values and, from 256 on, a few tags; and conversations in it.</summary>
sealed class StudentFiles : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    /// <param name="openedReasoning">Text that ends the template's prompts, as in templates that open the reasoning themselves.</param>
    /// <param name="config">tokenizer_config.json.</param>
    public StudentFiles(string openedReasoning = "", string config = """{"eos_token":"<|end|>"}""")
    {
        BpeTrainer.Train(
            [],
            260,
            [new("<|end|>"), new("<|stop|>"), new("<think>") { Special = false }, new("</think>") { Special = false }],
            _directory.Path
        );
        File.WriteAllText(_directory.File("tokenizer_config.json"), config);
        File.WriteAllText(_directory.File("generation_config.json"), """{"eos_token_id":[256,257]}""");
        Tokenizer = Tokenizer.Load(_directory.Path);
        Chat = new ChatSequence(
            Tokenizer,
            // Jinja drops a line break at the very end.
            ChatTemplate.Parse(
                "{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}a:" + openedReasoning + "{{ '' }}",
                "template"
            )
        );
    }

    public Tokenizer Tokenizer { get; }

    public ChatSequence Chat { get; }

    public const int End = 256;

    /// <summary>The context of a sequence and what is trained on, as text.</summary>
    public (string Context, string Trained) Text(TraceTokens tokens) =>
        (Tokenizer.Decode(tokens.Ids.AsSpan(0, tokens.FirstTrained)), Tokenizer.Decode(tokens.Ids.AsSpan(tokens.FirstTrained)));

    public void Dispose() => _directory.Dispose();
}

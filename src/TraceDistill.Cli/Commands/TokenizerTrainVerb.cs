using System.Text;
using System.Text.Json;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Files;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Pretraining;

namespace TraceDistill.Cli.Commands;

/// <summary>A byte-level BPE vocabulary with roles, think tags and a chat template, learned from a corpus.</summary>
sealed class TokenizerTrainVerb : Verb<TokenizerTrainOptions>
{
    public override string Name => "tokenizer train";

    public override string Description => "Learn a byte-level BPE vocabulary from a corpus";

    public override VerbOutput Output => VerbOutput.Required;

    public override IReadOnlyCollection<string> OutputNames(TokenizerTrainOptions options) => ModelDirectory.TokenizerFiles;

    public override async Task<object> RunAsync(TokenizerTrainOptions options, StageContext context, CancellationToken cancellationToken) =>
        await Task.Run(() => Train(options, context, cancellationToken), cancellationToken);

    static TokenizerSummary Train(TokenizerTrainOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var (texts, bytes) = (0L, 0L);
        TokenizerSetup.Create(Texts(), options.VocabSize, options.MaxLength, context.Output!);
        var tokenizer = Tokenizer.Load(context.Output!);
        context.Observer.Message($"{tokenizer.VocabularySize:N0} tokens learned from {texts:N0} texts of {bytes:N0} bytes");
        if (tokenizer.VocabularySize < options.VocabSize)
        {
            context.Observer.Message($"the corpus has no more pairs to learn than that; give more text for {options.VocabSize:N0}");
        }

        return new TokenizerSummary(tokenizer.VocabularySize, tokenizer.Hash, texts, bytes);

        IEnumerable<string> Texts()
        {
            foreach (var text in options.Corpus.SelectMany(file => Read(file, options.Field)))
            {
                cancellationToken.ThrowIfCancellationRequested();
                texts++;
                bytes += Encoding.UTF8.GetByteCount(text);
                yield return text;
            }

            if (texts == 0)
            {
                throw new InvalidInputException($"{options.Corpus[0]}: holds no text");
            }
        }
    }

    static IEnumerable<string> Read(string file, string field)
    {
        var isJson = Path.GetExtension(file).ToLowerInvariant() switch
        {
            ".jsonl" or ".ndjson" => true,
            ".txt" => false,
            var other => throw new InvalidInputException($"{file}: unknown format '{other}'; a corpus is of .txt or .jsonl files"),
        };
        foreach (var (number, line) in TextLines.Read(file).Index().Where(line => line.Item.Length > 0))
        {
            yield return isJson ? TextIn(line, field, $"{file}, line {number + 1}") : line + "\n";
        }
    }

    static string TextIn(string line, string field, string where)
    {
        try
        {
            using var record = JsonDocument.Parse(line);
            return record.RootElement.Text(field)
                ?? throw new InvalidInputException($"{where}: has no field '{field}' with text; say which field holds it (--field)");
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new InvalidInputException($"{where}: not a JSON object; each line holds one", error);
        }
    }
}

/// <summary>Result of <c>tokenizer train</c>.</summary>
/// <param name="VocabularySize">Ids.</param>
/// <param name="Hash">See <see cref="Tokenizer.Hash"/>.</param>
/// <param name="Texts">Texts read.</param>
/// <param name="Bytes">Bytes of them.</param>
sealed record TokenizerSummary(int VocabularySize, string Hash, long Texts, long Bytes);

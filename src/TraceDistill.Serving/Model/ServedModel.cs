using System.Text;
using TraceDistill.Data.Pictures;
using TraceDistill.Inference;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Serving.Protocol;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Serving.Model;

/// <summary>The model behind the server: engine, tokenizer, chat template, and its tokens as ready-made JSON.</summary>
sealed class ServedModel : IDisposable
{
    readonly ChatTemplate? _template;
    readonly string _directory;
    readonly HashSet<int> _ends;
    readonly Lazy<TokenFragments> _texts,
        _ids;

    ServedModel(string directory, string name, Tokenizer tokenizer, GenerationEngine engine, TimeProvider time)
    {
        (_directory, Name, Tokenizer, Engine) = (directory, name, tokenizer, engine);
        _template = tokenizer.ChatTemplateSource is null ? null : ChatTemplate.Load(directory, time);
        _ends = [.. engine.Configuration.EosTokenIds, .. tokenizer.EndOfSequenceIds];
        EndTokens = [.. _ends];
        _texts = new Lazy<TokenFragments>(() => new TokenFragments(engine.Configuration.VocabSize, TokenText, TokenBytes));
        _ids = new Lazy<TokenFragments>(() => new TokenFragments(engine.Configuration.VocabSize, id => $"token_id:{id}", TokenBytes));
        Created = time.GetUtcNow().ToUnixTimeSeconds();
    }

    /// <summary>Its name for clients.</summary>
    public string Name { get; }

    public Tokenizer Tokenizer { get; }

    public GenerationEngine Engine { get; }

    /// <summary>The tokens that end a generation.</summary>
    public IReadOnlyList<int> EndTokens { get; }

    /// <summary>When it was loaded, in seconds since 1970.</summary>
    public long Created { get; }

    /// <exception cref="InvalidInputException">A file of the model is missing or wrong, or they do not belong together.</exception>
    public static ServedModel Load(ServeOptions options, TimeProvider time)
    {
        var tokenizer = ModelDirectory.LoadTokenizer(options.Model);
        var engine = GenerationEngine.Load(
            options.Model,
            new EngineOptions
            {
                Device = options.Device,
                Threads = options.Threads ?? Environment.ProcessorCount,
                MaxRunning = options.MaxConcurrent,
                CacheBytes = (long)options.CacheMegabytes << 20,
                EarlyExit = options.ExitLayer is { } layer ? new EarlyExit(layer, options.ExitThreshold) : null,
            }
        );
        try
        {
            var name = options.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(options.Model)));
            return new ServedModel(options.Model, name, tokenizer, engine, time);
        }
        catch
        {
            engine.Dispose();
            throw;
        }
    }

    /// <exception cref="InvalidInputException">The model has no chat template.</exception>
    public ChatTemplate Template =>
        _template
        ?? throw new InvalidInputException(
            $"{_directory} has no chat template: use /v1/completions, or add chat_template to tokenizer_config.json"
        );

    /// <summary>The tokens of a conversation, and the picture that it shows.</summary>
    /// <exception cref="ApiException">It shows a picture, and the model reads text alone.</exception>
    /// <exception cref="InvalidInputException">The model looks at a picture, and it shows none, several, or what is no picture.</exception>
    public (int[] Prompt, Picture? Picture) Encode(ChatPrompt chat)
    {
        var shape = Engine.Configuration.Pictures;
        if (shape is null && chat.Pictures.Count > 0)
        {
            throw ApiException.BadField("messages", $"hold a picture, and {Name} reads text alone");
        }

        var prompt = PicturePrompt.Encode(Tokenizer, chat.Render(Template), shape);
        return (
            prompt,
            shape is not null && chat.Pictures is [var file]
                ? PictureFile.Decode(file, "messages: the picture", shape.Channels, shape.Height, shape.Width)
                : null
        );
    }

    public bool IsEnd(int token) => _ends.Contains(token);

    public ReadOnlySpan<byte> TokenBytes(int id) => Tokenizer.GetBytes(id);

    /// <summary>U+FFFD stands for bytes that are not whole characters.</summary>
    public string TokenText(int id) => Encoding.UTF8.GetString(TokenBytes(id));

    public TokenFragments Fragments(bool asTokenIds) => asTokenIds ? _ids.Value : _texts.Value;

    public void Dispose() => Engine.Dispose();
}

using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates.Jinja;

namespace TraceDistill.Text.Templates;

/// <summary>A conversation as a template writes it, and what of it the assistant said.</summary>
/// <param name="Text">The whole text.</param>
/// <param name="AssistantSpans">
/// Where the assistant's own text stands in it, in order, without overlap: <c>Text[span]</c> is what a model would have generated there.
/// </param>
public sealed record ChatRendering(string Text, IReadOnlyList<Range> AssistantSpans);

/// <summary>Where a template leaves the reasoning of an assistant's turns standing.</summary>
/// <param name="InHistory">In turns that the conversation has gone on after. False: the template strips thinking from history.</param>
/// <param name="InLastTurn">In the turn that the conversation ends with.</param>
public sealed record ReasoningKept(bool InHistory, bool InLastTurn);

/// <summary>
/// A model's chat template: turns a conversation into the text that the model is prompted with, as Hugging Face's transformers renders it.
/// The template is a sandboxed Jinja program: it sees the data it is given, no .NET object, and stops when it does more work than a
/// conversation can need. Immutable and safe to use from any thread.
/// </summary>
public sealed class ChatTemplate
{
    /// <summary>A template in a file of its own, in a model directory.</summary>
    public const string FileName = "chat_template.jinja";

    static readonly Dictionary<string, object?> NoVariables = [];

    readonly JinjaSource _source;
    readonly Block _program;
    readonly TimeProvider _time;
    readonly Dictionary<string, object?> _defaults;

    ChatTemplate(string source, string name, TimeProvider? time, Dictionary<string, object?> defaults)
    {
        _source = new JinjaSource(name, source);
        Source = source;
        _program = StatementParser.Parse(_source);
        _time = time ?? TimeProvider.System;
        _defaults = defaults;
        Hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(source)));
        ReasoningMarkers = Chat.ReasoningMarkers.Of(source);
    }

    /// <summary>The Jinja source.</summary>
    public string Source { get; }

    /// <summary>SHA-256 of the source: 64 hexadecimal digits.</summary>
    public string Hash { get; }

    /// <summary>The marks that it puts around reasoning, or looks for; null where it speaks of none that are known.</summary>
    public ReasoningMarkers? ReasoningMarkers { get; }

    /// <summary>Parses a template.</summary>
    /// <param name="source">The Jinja source.</param>
    /// <param name="name">Its name in error messages, such as its file name.</param>
    /// <param name="time">Clock that <c>strftime_now</c> reads.</param>
    /// <exception cref="InvalidInputException">
    /// The template is malformed or uses what is not supported; the message has line and column.
    /// </exception>
    public static ChatTemplate Parse(string source, string name, TimeProvider? time = null) => new(source, name, time, []);

    /// <summary>
    /// Parses the template of a model directory; <c>bos_token</c>, <c>eos_token</c> and <c>pad_token</c> are set from it.
    /// </summary>
    /// <param name="modelDirectory">The model's.</param>
    /// <param name="time">Clock that <c>strftime_now</c> reads.</param>
    /// <param name="templateDirectory">Whose template is taken where the model has none; the tokens stay the model's.</param>
    /// <exception cref="InvalidInputException">The model has no chat template or a malformed one.</exception>
    public static ChatTemplate Load(string modelDirectory, TimeProvider? time = null, string? templateDirectory = null)
    {
        var settings = TokenizerSettings.Read(modelDirectory);
        var (source, name) = (settings.ChatTemplate, SettingsName(modelDirectory));
        if (source is null && templateDirectory is not null)
        {
            (source, name) = (TokenizerSettings.Read(templateDirectory).ChatTemplate, SettingsName(templateDirectory));
        }
        if (source is null)
        {
            var file = Path.Combine(modelDirectory, TokenizerSettings.FileName);
            throw new InvalidInputException($"{file}: the model has no chat_template; add one or name a model that has");
        }

        var tokens = new[]
        {
            ("bos_token", settings.BeginOfSequence),
            ("eos_token", settings.EndOfSequence),
            ("pad_token", settings.Padding),
        };
        var defaults = tokens.Where(token => token.Item2 is not null).ToDictionary(token => token.Item1, token => (object?)token.Item2);
        return new ChatTemplate(source, name, time, defaults);
    }

    static string SettingsName(string modelDirectory) =>
        Path.Combine(modelDirectory, FileName) is var file && File.Exists(file)
            ? file
            : $"{Path.Combine(modelDirectory, TokenizerSettings.FileName)}: chat_template";

    /// <summary>Renders a conversation.</summary>
    /// <param name="messages">The turns.</param>
    /// <param name="addGenerationPrompt">True where the text ends where the model's turn begins.</param>
    /// <param name="variables">
    /// More variables for the template, such as <c>enable_thinking</c> or <c>tools</c>: booleans, numbers, strings, JSON, and lists and
    /// dictionaries of these.
    /// </param>
    /// <exception cref="InvalidInputException">The template refuses the conversation or fails; the message has line and column.</exception>
    public string Render(
        IReadOnlyList<ChatMessage> messages,
        bool addGenerationPrompt,
        IReadOnlyDictionary<string, object?>? variables = null
    ) => Run(Plain(messages), addGenerationPrompt, variables).ToString();

    /// <summary>As above, for messages that carry more than a role and a text: tool calls, reasoning, lists of parts.</summary>
    /// <param name="messages">A JSON array of messages as in the chat-completions API.</param>
    public string Render(JsonElement messages, bool addGenerationPrompt, IReadOnlyDictionary<string, object?>? variables = null) =>
        Run(messages, addGenerationPrompt, variables).ToString();

    /// <summary>Renders a whole conversation and tells what of it the assistant said.</summary>
    /// <param name="messages">A JSON array of messages as in the chat-completions API.</param>
    /// <param name="endOfTurn">
    /// Text that ends the assistant's turns, where the template has no generation blocks; its <c>eos_token</c> when null.
    /// </param>
    /// <param name="variables">As for <see cref="Render(JsonElement, bool, IReadOnlyDictionary{string, object?}?)"/>.</param>
    /// <remarks>
    /// Where the template has <c>{% generation %}</c> blocks, what they write, as in transformers'
    /// <c>return_assistant_tokens_mask</c>. A block in a macro or <c>set</c> block counts where the very text is written; once
    /// that is trimmed or joined with other text, its place is lost. Where nothing came from such blocks, by prefix difference: a
    /// turn is what its rendering has more than the prompt before it, end-of-turn included; turns that do not stand in the text
    /// as a model would have written them, because the template strips their thinking or opens it in the prompt, have no span.
    /// </remarks>
    public ChatRendering RenderConversation(
        JsonElement messages,
        string? endOfTurn = null,
        IReadOnlyDictionary<string, object?>? variables = null
    )
    {
        var turns = messages.EnumerateArray().ToList();
        var output = Run(turns, addGenerationPrompt: false, variables);
        var text = output.ToString();
        return new ChatRendering(
            text,
            output.Generated.Count > 0
                ? output.Generated
                : AssistantSpans.ByPrefixDifference(turns, text, endOfTurn ?? EndOfSequence(variables), (count, prompt) =>
                    Run(turns.Take(count), prompt, variables).ToString()
                )
        );
    }

    /// <summary>Tries out which reasoning of an assistant the template leaves standing.</summary>
    /// <param name="asField">
    /// True where the reasoning is given as <c>reasoning_content</c>, else within the content as <c>&lt;think&gt;…&lt;/think&gt;</c>.
    /// </param>
    /// <returns>Null where the template refuses a plain conversation of two questions and answers.</returns>
    public ReasoningKept? ProbeReasoning(bool asField)
    {
        const string Earlier = "zuerst",
            Last = "zuletzt";
        try
        {
            var text = Run(
                    new[] { Message("user", "a"), Assistant(Earlier), Message("user", "b"), Assistant(Last) },
                    addGenerationPrompt: false,
                    variables: null
                )
                .ToString();
            return new ReasoningKept(text.Contains(Earlier, StringComparison.Ordinal), text.Contains(Last, StringComparison.Ordinal));
        }
        catch (InvalidInputException)
        {
            return null;
        }

        Dictionary<string, object?> Assistant(string reasoning)
        {
            var message = Message("assistant", asField ? "c" : $"{ReasoningSplitter.Open}\n{reasoning}\n{ReasoningSplitter.Close}\n\nc");
            if (asField)
            {
                message["reasoning_content"] = reasoning;
            }
            return message;
        }
    }

    JinjaOutput Run(object messages, bool addGenerationPrompt, IReadOnlyDictionary<string, object?>? variables)
    {
        var globals = new Dictionary<string, object?>(JinjaFunctions.All, StringComparer.Ordinal);
        foreach (var (name, value) in _defaults.Concat(variables ?? NoVariables))
        {
            globals[name] = InputValues.Copy(value);
        }
        globals["messages"] = InputValues.Copy(messages);
        globals["add_generation_prompt"] = addGenerationPrompt;
        var context = new JinjaContext(_time, globals);
        try
        {
            _program.Execute(context);
            return context.Output;
        }
        catch (JinjaFailure failure)
        {
            throw _source.Error(context.Offset, failure.Message);
        }
        catch (OverflowException)
        {
            throw _source.Error(context.Offset, "a number does not fit 64 bits");
        }
    }

    string? EndOfSequence(IReadOnlyDictionary<string, object?>? variables) =>
        (variables ?? NoVariables).GetValueOrDefault("eos_token", _defaults.GetValueOrDefault("eos_token")) as string;

    static IEnumerable<Dictionary<string, object?>> Plain(IReadOnlyList<ChatMessage> messages) =>
        messages.Select(message => Message(message.Role, message.Content));

    static Dictionary<string, object?> Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
}

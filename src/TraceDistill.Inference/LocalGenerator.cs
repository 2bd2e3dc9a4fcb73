using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Pictures;
using TraceDistill.Data.Prompts;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Inference;

/// <summary>Continues conversations with a model in this process: chat template, tokenizer, engine.</summary>
/// <remarks>Concurrent calls are batched by the engine; ask for many at once. Without a seed each request draws with seed 0.</remarks>
public sealed class LocalGenerator : ITextGenerator, IDisposable
{
    readonly GenerationEngine _engine;
    readonly Tokenizer _tokenizer;
    readonly ChatTemplate _template;
    readonly int[] _ends;
    readonly ReasoningMarkers? _markers;

    /// <param name="engine">Disposed of with this object.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="template">The model's chat template.</param>
    public LocalGenerator(GenerationEngine engine, Tokenizer tokenizer, ChatTemplate template)
    {
        (_engine, _tokenizer, _template) = (engine, tokenizer, template);
        _markers = tokenizer.ChatTemplateSource is { } source ? ReasoningMarkers.Of(source) : null;
        _ends = [.. engine.Configuration.EosTokenIds.Union(tokenizer.EndOfSequenceIds)];
    }

    public ModelConfiguration Configuration => _engine.Configuration;

    /// <summary>What it has done so far.</summary>
    public EngineCounters Counters => _engine.Counters;

    /// <summary>The model's tokenizer.</summary>
    public Tokenizer Tokenizer => _tokenizer;

    /// <summary>The model's chat template.</summary>
    public ChatTemplate Template => _template;

    /// <summary>Loads weights, tokenizer and chat template of a model directory.</summary>
    /// <exception cref="InvalidInputException">A file is missing or wrong.</exception>
    public static LocalGenerator Load(string modelDirectory, EngineOptions? options = null, TimeProvider? time = null)
    {
        var (tokenizer, template) = (ModelDirectory.LoadTokenizer(modelDirectory), ChatTemplate.Load(modelDirectory, time));
        return new LocalGenerator(GenerationEngine.Load(modelDirectory, options), tokenizer, template);
    }

    /// <inheritdoc/>
    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        var rendered = _template.Render(request.Messages, addGenerationPrompt: true, TemplateVariables(request.Sampling.ExtraBody));
        var prompt = PicturePrompt.Encode(_tokenizer, rendered, Configuration.Pictures);
        var sequence = ToSequence(prompt, request.Sampling) with { Picture = PictureOf(request) };
        var result = await _engine.GenerateAsync(sequence, cancellationToken);
        var ended = result.Tokens.Length > 0 && _ends.Contains(result.Tokens[^1]);
        var text = _tokenizer.Decode(ended ? result.Tokens.AsSpan(..^1) : result.Tokens);
        var opened = ReasoningMarkers.OpenedBy(rendered, _markers);
        var (reasoning, answer) = ReasoningSplitter.Split(text, opened is not null, opened ?? _markers);
        return new GenerationResult
        {
            Reasoning = reasoning,
            Answer = answer,
            Text = text,
            FinishReason = result.Stopped ? "stop" : "length",
            PromptTokenIds = prompt,
            PromptTokens = prompt.Length,
            CompletionTokens = result.Tokens.Length,
            Logprobs = result.Logprobs,
        };
    }

    public void Dispose() => _engine.Dispose();

    /// <summary>Of a request's further fields a model in this process knows the variables of its chat template.</summary>
    /// <param name="extraBody">See <see cref="SamplingSettings.ExtraBody"/>.</param>
    public static IReadOnlyDictionary<string, object?>? TemplateVariables(string? extraBody)
    {
        if (extraBody is null)
        {
            return null;
        }

        using var fields = JsonDocument.Parse(extraBody);
        return fields.RootElement.Find(TaskDescription.ChatTemplateField) is { ValueKind: JsonValueKind.Object } variables
            ? variables.EnumerateObject().ToDictionary(variable => variable.Name, variable => (object?)variable.Value.Clone())
            : null;
    }

    /// <summary>Null where the model reads text, or the request has no picture, which the engine then refuses.</summary>
    Picture? PictureOf(GenerationRequest request) =>
        request.Picture is { } path && Configuration.Pictures is { } shape
            ? PictureFile.Read(path, shape.Channels, shape.Height, shape.Width)
            : null;

    SequenceRequest ToSequence(int[] prompt, SamplingSettings sampling) =>
        new()
        {
            Prompt = prompt,
            MaxTokens = sampling.MaxTokens,
            Temperature = sampling.Temperature,
            TopP = sampling.TopP,
            Seed = sampling.Seed ?? 0,
            StopTokens = _ends,
            TopLogprobs = sampling.TopLogprobs > 0 ? sampling.TopLogprobs : null,
            DrawsAlternatives = sampling.DrawsAlternatives,
        };
}

using TraceDistill.Data.Pictures;
using TraceDistill.Inference.Sequences;
using TraceDistill.Serving.Protocol;
using TraceDistill.Text.Errors;

namespace TraceDistill.Serving.Model;

/// <summary>Job that a request gives the engine: <c>n</c> choices for each of its prompts, prompt by prompt.</summary>
sealed class GenerationJob(ServedModel model, IReadOnlyList<int[]> prompts, GenerationFields fields, Func<long> nextSeed)
{
    readonly long _seed = fields.Seed ?? nextSeed();

    /// <summary>Null: as far as the model's context goes.</summary>
    public int? MaxTokens { get; init; }

    public int? TopLogprobs { get; init; }

    /// <summary>Stands in each prompt; null where they are text.</summary>
    public Picture? Picture { get; init; }

    /// <summary>True where choices begin with their prompt, and its logprobs where those are asked for.</summary>
    public bool Echo { get; init; }

    public int ChoiceCount => prompts.Count * fields.Choices;

    public int PromptTokens => prompts.Sum(prompt => prompt.Length);

    public GenerationFields Fields => fields;

    /// <summary>Generates all choices; the first that fails ends the others.</summary>
    public async Task<Choice[]> RunAsync(CancellationToken cancellationToken)
    {
        using var together = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            var started = Enumerable
                .Range(0, ChoiceCount)
                .Select(index =>
                {
                    var text = new GeneratedText(model, fields.Stops);
                    return (Prompt: PromptOf(index), Text: text, Result: Start(index, text, together.Token));
                })
                .ToList();
            var choices = new List<Choice>();
            foreach (var (prompt, text, result) in started)
            {
                var finished = await result; // Before the text is read.
                choices.Add(new Choice(prompt, text.ToString(), finished));
            }

            return [.. choices];
        }
        catch
        {
            await together.CancelAsync();
            throw;
        }
    }

    /// <summary>Generates one choice.</summary>
    /// <exception cref="InvalidInputException">The engine refuses the prompt; thrown before anything is started.</exception>
    public Task<SequenceResult> Start(int index, ITokenSink sink, CancellationToken cancellationToken) =>
        model.Engine.GenerateAsync(
            new SequenceRequest
            {
                Prompt = PromptOf(index),
                Picture = Picture,
                MaxTokens = MaxTokens ?? int.MaxValue,
                Temperature = fields.Temperature,
                TopP = fields.TopP,
                TopK = fields.TopK,
                Seed = _seed,
                SampleIndex = index % fields.Choices,
                StopTokens = fields.IgnoreEndOfSequence ? [] : model.EndTokens,
                TopLogprobs = TopLogprobs,
                PromptTopLogprobs = Echo ? TopLogprobs : null,
                DrawsAlternatives = fields.SampledLogprobs is not null,
                Sink = sink,
            },
            cancellationToken
        );

    /// <summary>The prompt of a choice.</summary>
    public int[] PromptOf(int index) => prompts[index / fields.Choices];
}

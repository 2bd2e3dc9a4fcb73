using System.Buffers;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Hosting;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Responses;

/// <summary>Streams a job as server-sent events, one a token, and <c>[DONE]</c> at the end.</summary>
/// <param name="chunk">Writes what one event says about its choice.</param>
/// <param name="promptIds">The prompt's tokens, which the first event tells, as vLLM's does; null where they were not asked for.</param>
sealed class EventStream(
    HttpContext context,
    ResponseHeader header,
    GenerationJob job,
    Action<Utf8JsonWriter, StreamedToken> chunk,
    int[]? promptIds = null
) : IDisposable
{
    int[]? _promptIds = promptIds;

    readonly Utf8JsonWriter _json = new(context.Response.BodyWriter, JsonBody.Options);

    public async Task RunAsync(ServedModel model)
    {
        using var together = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        try
        {
            var events = Channel.CreateUnbounded<StreamedToken>(new UnboundedChannelOptions { SingleReader = true });
            var choices = Enumerable.Range(0, job.ChoiceCount).Select(index => Start(model, index, events.Writer, together.Token)).ToList();
            var generating = FinishAsync(choices, events.Writer);
            context.Response.ContentType = "text/event-stream";
            context.Response.Headers.CacheControl = "no-cache";
            var tokens = await SendAsync(events.Reader);
            await generating;
            if (job.Fields.StreamUsage)
            {
                WriteUsage(tokens);
            }

            context.Response.BodyWriter.Write("data: [DONE]\n\n"u8);
        }
        catch (Exception error) when (context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            // Too late for a status: the stream itself says that it is not whole.
            WriteEvent(() => ErrorBody.Write(_json, RequestPipeline.Translate(error)));
        }
        finally
        {
            await together.CancelAsync();
        }
    }

    public void Dispose() => _json.Dispose();

    /// <summary>Starts a choice at once, so that a refused prompt is refused before the stream begins.</summary>
    Task Start(ServedModel model, int index, ChannelWriter<StreamedToken> events, CancellationToken cancellationToken)
    {
        var prompt = job.Echo ? model.Tokenizer.Decode(job.PromptOf(index)) : "";
        if (job is { Echo: true, TopLogprobs: null })
        {
            events.TryWrite(new StreamedToken(index, prompt, null, null, IsPrompt: true));
        }

        var choice = new StreamedChoice(index, prompt, new GeneratedText(model, job.Fields.Stops), events);
        var result = job.Start(index, choice, cancellationToken);
        return FinishAsync();

        async Task FinishAsync() => choice.Finish((await result).Stopped ? "stop" : "length");
    }

    static async Task FinishAsync(List<Task> choices, ChannelWriter<StreamedToken> events)
    {
        try
        {
            foreach (var choice in choices)
            {
                await choice;
            }
        }
        finally
        {
            events.Complete();
        }
    }

    async Task<int> SendAsync(ChannelReader<StreamedToken> events)
    {
        var tokens = 0;
        while (await events.WaitToReadAsync(context.RequestAborted))
        {
            while (events.TryRead(out var one))
            {
                tokens += one.IsPrompt ? 0 : one.Tokens?.Count ?? 0;
                WriteEvent(() => WriteChunk(one));
            }

            await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        }

        return tokens;
    }

    void WriteChunk(StreamedToken one)
    {
        _json.WriteStartObject();
        header.Write(_json);
        if (_promptIds is not null)
        {
            ResponseHeader.WriteIds(_json, "prompt_token_ids", _promptIds);
            _promptIds = null;
        }

        _json.WriteStartArray("choices");
        _json.WriteStartObject();
        _json.WriteNumber("index", one.Choice);
        chunk(_json, one);
        _json.WriteString("finish_reason", one.FinishReason);
        if (job.Fields.ReturnTokenIds && one is { IsPrompt: false, Tokens: { } tokens })
        {
            ResponseHeader.WriteIds(_json, "token_ids", tokens.TokenIds);
        }

        _json.WriteEndObject();
        _json.WriteEndArray();
        _json.WriteEndObject();
    }

    void WriteUsage(int completionTokens) =>
        WriteEvent(() =>
        {
            _json.WriteStartObject();
            header.Write(_json);
            _json.WriteStartArray("choices");
            _json.WriteEndArray();
            ResponseHeader.WriteUsage(_json, job.PromptTokens, completionTokens);
            _json.WriteEndObject();
        });

    void WriteEvent(Action write)
    {
        context.Response.BodyWriter.Write("data: "u8);
        _json.Reset();
        write();
        _json.Flush();
        context.Response.BodyWriter.Write("\n\n"u8);
    }
}

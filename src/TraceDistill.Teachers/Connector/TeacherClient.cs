using System.Net.Http.Headers;
using System.Text.Json;
using TraceDistill.Core.Generation;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Connector;

/// <summary>One teacher over HTTP: sends a request once and says, as a <see cref="TeacherRequestException"/>, what a failure means.</summary>
sealed class TeacherClient(HttpClient http, TeacherEndpoint endpoint, TimeProvider time)
{
    static readonly MediaTypeHeaderValue Json = new("application/json");

    // Off once the server has refused the fields that ask for token ids.
    volatile bool _askForTokenIds = true;

    public TeacherEndpoint Endpoint => endpoint;

    /// <summary>Asks for one choice.</summary>
    public async Task<GenerationResult> CompleteAsync(IReadOnlyList<ChatMessage> messages, SamplingSettings sampling, CancellationToken cancellationToken)
    {
        var askForTokenIds = _askForTokenIds;
        try
        {
            return await SendOnceAsync(messages, sampling, askForTokenIds, cancellationToken);
        }
        catch (TeacherRequestException e) when (askForTokenIds && e.Status is 400 or 422 && e.Message.Contains("return_token", StringComparison.Ordinal))
        {
            _askForTokenIds = false;
            return await SendOnceAsync(messages, sampling, askForTokenIds: false, cancellationToken);
        }
    }

    /// <summary>The names under <c>/models</c>; null where the endpoint has no such list.</summary>
    public async Task<IReadOnlyList<string>?> ListModelsAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, endpoint.Address("models"));
        try
        {
            using var body = await SendAsync(request, cancellationToken);
            return ReadModels(body.Bytes);
        }
        catch (TeacherRequestException e) when (e.Status is 400 or 404 or 405 or 501)
        {
            return null;
        }
    }

    async Task<GenerationResult> SendOnceAsync(
        IReadOnlyList<ChatMessage> messages, SamplingSettings sampling, bool askForTokenIds, CancellationToken cancellationToken)
    {
        using var content = new ReadOnlyMemoryContent(ChatRequestWriter.Write(endpoint.Model, messages, sampling, askForTokenIds));
        content.Headers.ContentType = Json;
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint.Address("chat/completions")) { Content = content };
        using var body = await SendAsync(request, cancellationToken);
        try
        {
            return CompletionReader.Read(body.Bytes, sampling.TopLogprobs);
        }
        catch (WireFormatException e)
        {
            throw TeacherFailures.FromFormat(endpoint, e);
        }
    }

    /// <summary>Sends, and reads the whole body of a success.</summary>
    async Task<ResponseBody> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        endpoint.Authorize(request);
        ResponseBody? body = null;
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            body = await ResponseBody.ReadAsync(response.Content, cancellationToken);
            var error = response.IsSuccessStatusCode ? ErrorBody.InSuccess(body.Bytes) : ErrorBody.Parse(body.Bytes);
            if (error is null)
            {
                return body;
            }

            var status = response.IsSuccessStatusCode && int.TryParse(error.Code, out var code) ? code : (int)response.StatusCode;
            throw TeacherFailures.FromStatus(endpoint, status, error, TeacherFailures.RetryAfter(response.Headers, time));
        }
        catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            body?.Dispose();
            throw TeacherFailures.FromTransport(endpoint, e);
        }
        catch
        {
            body?.Dispose();
            throw;
        }
    }

    /// <summary>Null where the list is of another shape: the list only serves to say more about a missing model.</summary>
    static List<string>? ReadModels(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            using var document = JsonDocument.ParseValue(ref reader);
            return document.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!).ToList();
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }
}

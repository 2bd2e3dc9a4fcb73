using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using TraceDistill.Data.Contracts;
using TraceDistill.Inference.Sequences;
using TraceDistill.Serving.Protocol;
using TraceDistill.Text.Errors;

namespace TraceDistill.Serving.Hosting;

/// <summary>
/// Pipeline of every request: key or, without one, a look at where it comes from, count, and errors told in OpenAI's form.
/// </summary>
sealed class RequestPipeline(ApiKeyGate? keys, ServerMetrics metrics, TimeProvider time, IRunObserver observer)
{
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var start = time.GetTimestamp();
        try
        {
            if (keys is null)
            {
                LocalGate.Check(context.Request);
            }
            else
            {
                keys.Check(context);
            }

            await next(context);
            if (
                context.Response is
                { HasStarted: false, StatusCode: StatusCodes.Status404NotFound or StatusCodes.Status405MethodNotAllowed }
            )
            {
                // Routing's own answer has no body.
                throw new ApiException(
                    context.Response.StatusCode,
                    $"{context.Request.Method} {context.Request.Path} is not served here",
                    "not_found"
                );
            }
        }
#pragma warning disable CA1031 // The outermost frame of a request: a client gets an answer, the others are served on.
        catch (Exception error)
#pragma warning restore CA1031
        {
            await AnswerAsync(context, error);
        }

        var route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "other";
        var seen = context.RequestAborted.IsCancellationRequested ? StatusCodes.Status499ClientClosedRequest : context.Response.StatusCode;
        metrics.Count(route, seen, time.GetElapsedTime(start));
    }

    /// <summary>The error as the client is to see it.</summary>
    public static ApiException Translate(Exception error) =>
        error switch
        {
            ApiException known => known,
            // OpenAI's word, by which clients know to shorten.
            ContextLengthException tooLong => new ApiException(400, tooLong.Message, "context_length_exceeded"),
            InvalidInputException invalid => new ApiException(400, invalid.Message, "invalid_request"),
            JsonException json => new ApiException(400, $"the request is not JSON: {json.Message}", "invalid_json"),
            BadHttpRequestException bad => new ApiException(
                bad.StatusCode,
                bad.Message,
                bad.StatusCode == 413 ? "request_too_large" : "bad_request"
            ),
            OperationCanceledException or ObjectDisposedException => new ApiException(503, "the server is shutting down", "shutting_down"),
            _ => new ApiException(500, "the server failed; its own output says more", "internal_error"),
        };

    async Task AnswerAsync(HttpContext context, Exception error)
    {
        if (context.RequestAborted.IsCancellationRequested)
        {
            return; // Nobody is there to be told.
        }

        var answer = Translate(error);
        if (answer.Status == StatusCodes.Status500InternalServerError)
        {
            observer.Message($"a request failed: {error}");
        }

        if (context.Response.HasStarted)
        {
            context.Abort(); // Half an answer must not look like a whole one.
            return;
        }

        await ErrorBody.WriteAsync(context.Response, answer);
    }
}

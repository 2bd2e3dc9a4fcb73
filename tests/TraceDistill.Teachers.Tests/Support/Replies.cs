using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>Replies that a <see cref="ProtocolServer"/>'s script is made of.</summary>
static class Replies
{
    /// <summary>A completion whose tokens are the characters of <paramref name="text"/>, ended by token 0, each with three alternatives.</summary>
    public static Func<HttpContext, string, Task> Completion(string text) => (context, request) =>
        Json(WireJson.Completion(text, TopLogprobs(request)))(context, request);

    /// <summary>Adds the numbers in the user's words; the seed decides the phrasing.</summary>
    public static Task Sum(HttpContext context, string request)
    {
        using var document = JsonDocument.Parse(request);
        var root = document.RootElement;
        var numbers = Regex.Matches(root.GetProperty("messages")[0].GetProperty("content").GetString()!, "[0-9]+").Select(match => int.Parse(match.Value)).ToArray();
        var step = root.GetProperty("seed").GetInt64() % 2 == 0 ? "add them" : "count on";
        return Completion($"<think>{string.Join(" and ", numbers)}: {step}</think> {numbers.Sum()}")(context, request);
    }

    public static Func<HttpContext, string, Task> Json(string json) => (context, _) =>
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(json);
    };

    public static Func<HttpContext, string, Task> Status(int status, string? retryAfter = null, string body = "") => (context, _) =>
    {
        context.Response.StatusCode = status;
        if (retryAfter is not null)
        {
            context.Response.Headers.RetryAfter = retryAfter;
        }

        return context.Response.WriteAsync(body);
    };

    public static Func<HttpContext, string, Task> Error(int status, string message, string code = "error") =>
        Status(status, body: JsonSerializer.Serialize(new { error = new { message, type = code, code } }));

    /// <summary>The connection is cut before any answer.</summary>
    public static Task Reset(HttpContext context, string request)
    {
        context.Abort();
        return Task.CompletedTask;
    }

    /// <summary>Headers promise more than the body holds, and the connection is cut.</summary>
    public static async Task CutShort(HttpContext context, string request)
    {
        context.Response.ContentLength = 1000;
        await context.Response.WriteAsync("{\"choices\":[{\"mess");
        await context.Response.Body.FlushAsync();
        context.Abort();
    }

    /// <summary>Never answers; ends when the client gives up.</summary>
    public static async Task Stall(HttpContext context, string request)
    {
        var gone = new TaskCompletionSource();
        await using var registration = context.RequestAborted.Register(gone.SetResult);
        await gone.Task;
    }

    static int TopLogprobs(string request)
    {
        using var document = JsonDocument.Parse(request);
        return document.RootElement.TryGetProperty("top_logprobs", out var k) ? k.GetInt32() : 0;
    }
}

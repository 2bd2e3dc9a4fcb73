using System.Text.Json;
using Microsoft.AspNetCore.Http;
using TraceDistill.TestServer.Faults;
using TraceDistill.TestServer.Forms;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer;

/// <summary>Replies that a <see cref="ProtocolServer"/>'s script is made of.</summary>
public static class Replies
{
    /// <summary>
    /// A completion whose tokens are the characters of <paramref name="text"/>, ended by token 0, each with three alternatives.
    /// </summary>
    public static Func<HttpContext, string, Task> Completion(string text) =>
        (context, request) => Json(WireJson.Completion(text, TopLogprobs(request)))(context, request);

    /// <summary>Adds the numbers in the user's words; the seed decides the phrasing.</summary>
    public static Task Sum(HttpContext context, string request) =>
        Completion(ScriptedTeachers.Sum(TeacherRequest.Parse(request) with { MaxTokens = int.MaxValue }).Text)(context, request);

    /// <summary>A teacher's answer, in the form of one kind of server; equal requests get equal bytes.</summary>
    /// <param name="form">How it is written.</param>
    /// <param name="teacher">Answers to give; null adds numbers up.</param>
    /// <param name="faults">Faults to show; null for none.</param>
    public static Func<HttpContext, string, Task> Teach(
        WireForm form,
        Func<TeacherRequest, TeacherAnswer>? teacher = null,
        FaultPlan? faults = null
    ) =>
        (context, body) =>
        {
            var request = TeacherRequest.Parse(body);
            var answer = (teacher ?? ScriptedTeachers.Sum)(request);
            return (faults?.Next(request) ?? Fault.None) is var fault && fault == Fault.None
                ? Bytes(context, form.Reply(request, answer))
                : FaultyReply.SendAsync(context, fault, form, request, answer);
        };

    /// <summary>
    /// One of a few bodies that are there already, chosen by the request's content: for
    /// measurements, in which the server may not be what is measured.
    /// </summary>
    public static Func<HttpContext, string, Task> Prepared(IReadOnlyList<ReadOnlyMemory<byte>> bodies) =>
        (context, body) => Bytes(context, bodies[(int)(TeacherRequest.Parse(body).Key % (ulong)bodies.Count)]);

    public static Func<HttpContext, string, Task> Json(string json) => (context, _) => Bytes(context, WireJson.Utf8(json));

    public static Func<HttpContext, string, Task> Status(int status, string? retryAfter = null, string body = "") =>
        (context, _) =>
        {
            context.Response.StatusCode = status;
            if (retryAfter is not null)
            {
                context.Response.Headers.RetryAfter = retryAfter;
            }

            return context.Response.WriteAsync(body);
        };

    public static Func<HttpContext, string, Task> Error(int status, string message, string code = "error") =>
        Status(
            status,
            body: JsonSerializer.Serialize(
                new
                {
                    error = new
                    {
                        message,
                        type = code,
                        code,
                    },
                }
            )
        );

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

    /// <inheritdoc cref="Bytes(HttpContext, ReadOnlyMemory{byte}, string)"/>
    public static Task Bytes(HttpContext context, (ReadOnlyMemory<byte> Body, string ContentType) reply) =>
        Bytes(context, reply.Body, reply.ContentType);

    /// <summary>A whole body at once.</summary>
    public static Task Bytes(HttpContext context, ReadOnlyMemory<byte> body, string contentType = "application/json")
    {
        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        return context.Response.Body.WriteAsync(body).AsTask();
    }

    static int TopLogprobs(string request)
    {
        using var document = JsonDocument.Parse(request);
        return document.RootElement.TryGetProperty("top_logprobs", out var k) ? k.GetInt32() : 0;
    }
}

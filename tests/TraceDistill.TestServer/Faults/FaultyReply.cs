using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using TraceDistill.TestServer.Forms;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Faults;

/// <summary>Sends a good answer in a bad way.</summary>
public static class FaultyReply
{
    const int HugeLength = 100_000_000;
    const int Pieces = 100;

    public static Task SendAsync(HttpContext context, Fault fault, WireForm form, TeacherRequest request, TeacherAnswer answer)
    {
        var (whole, type) = form.Reply(request, answer);
        var half = whole[..(whole.Length / 2)];
        return fault switch
        {
            Fault.TooManyRequests => FailAsync(context, form, 429, "too many requests"),
            Fault.TooManyRequestsRetryAfter => FailAsync(context, form, 429, "too many requests", retryAfter: "1"),
            Fault.InternalError => FailAsync(context, form, 500, "CUDA error: an illegal memory access was encountered"),
            Fault.BadGateway => Replies.Status(
                502,
                body: "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
            )(context, ""),
            Fault.Unavailable => FailAsync(context, form, 503, "loading model"),
            Fault.ErrorInSuccess => ErrorAsync(context, form, request, answer),
            Fault.ResetBeforeResponse => Replies.Reset(context, ""),
            Fault.ResetDuringBody => CutAsync(context, type, half, whole.Length),
            Fault.ResetAfterBody => CutAsync(context, type, whole, promised: null),
            Fault.TruncatedJson => Replies.Bytes(context, half, type),
            Fault.WrongShape => Replies.Bytes(
                context,
                """{"choices":{"message":"later"},"output_ids":"none","meta_info":[]}"""u8.ToArray()
            ),
            Fault.NotANumber => Replies.Bytes(context, WithNaN(whole), type),
            Fault.MissingLogprobs => Replies.Bytes(context, form.Reply(request with { TopLogprobs = 0 }, answer)),
            Fault.DuplicatedAlternatives => Replies.Bytes(
                context,
                form.Reply(request, Rearranged(answer, entries => entries.Prepend(entries[0])))
            ),
            Fault.UnsortedAlternatives => Replies.Bytes(
                context,
                form.Reply(request, Rearranged(answer, entries => entries.Take(request.TopLogprobs).Reverse()))
            ),
            Fault.InvalidUtf8 => Replies.Bytes(context, WithInvalidUtf8(whole), type),
            Fault.ContentLengthTooLong => CutAsync(context, type, whole, whole.Length + 1000),
            Fault.GzipGarbage => GarbageAsync(context, type, whole),
            Fault.Stall => Replies.Stall(context, ""),
            Fault.SlowDrip => DripAsync(context, type, whole),
            Fault.HugeBody => HugeAsync(context),
            Fault.OutOfOrderEvents => EventsAsync(context, form, request, answer),
            Fault.UnknownFinishReason => Replies.Bytes(context, form.Reply(request, answer with { FinishReason = "repetition" })),
            Fault.OtherModel => Replies.Bytes(context, form.Reply(request with { Model = "another-model" }, answer)),
            _ => Replies.Bytes(context, whole, type),
        };
    }

    static Task FailAsync(HttpContext context, WireForm form, int status, string message, string? retryAfter = null)
    {
        context.Response.StatusCode = status;
        if (retryAfter is not null)
        {
            context.Response.Headers.RetryAfter = retryAfter;
        }

        return Replies.Bytes(context, form.Error(status, message));
    }

    /// <param name="promised">Content-Length; null sends chunks, of which the last one is missing.</param>
    static async Task CutAsync(HttpContext context, string type, ReadOnlyMemory<byte> body, long? promised)
    {
        context.Response.ContentType = type;
        context.Response.ContentLength = promised;
        await context.Response.Body.WriteAsync(body);
        await context.Response.Body.FlushAsync();
        context.Abort();
    }

    static Task GarbageAsync(HttpContext context, string type, ReadOnlyMemory<byte> body)
    {
        context.Response.Headers.ContentEncoding = "gzip";
        return Replies.Bytes(context, body, type);
    }

    static async Task DripAsync(HttpContext context, string type, ReadOnlyMemory<byte> body)
    {
        context.Response.ContentType = type;
        for (var piece = 0; piece < Pieces; piece++)
        {
            await context.Response.Body.WriteAsync(body[(body.Length * piece / Pieces)..(body.Length * (piece + 1) / Pieces)]);
            await context.Response.Body.FlushAsync();
        }
    }

    static async Task HugeAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        var block = new byte[1_000_000];
        Array.Fill(block, (byte)'x');
        await context.Response.Body.WriteAsync("{\"choices\":[{\"message\":{\"content\":\""u8.ToArray());
        for (var sent = 0; sent < HugeLength && !context.RequestAborted.IsCancellationRequested; sent += block.Length)
        {
            await context.Response.Body.WriteAsync(block);
        }

        await context.Response.Body.WriteAsync("\"}}]}"u8.ToArray());
    }

    /// <summary>In the place of an answer or, where it is streamed, in the middle of it.</summary>
    static Task ErrorAsync(HttpContext context, WireForm form, TeacherRequest request, TeacherAnswer answer)
    {
        ReadOnlyMemory<byte> error = """{"error":{"message":"Provider returned error","code":502}}"""u8.ToArray();
        return request.IsStreamed && form is StreamingForm streaming && streaming.Events(request, answer) is var events
            ? Replies.Bytes(context, StreamingForm.Join([.. events.Take(events.Count / 2), error, StreamingForm.Done]), "text/event-stream")
            : Replies.Bytes(context, error);
    }

    /// <summary>The pieces of the answer from last to first, whether or not it was to be streamed.</summary>
    static Task EventsAsync(HttpContext context, WireForm form, TeacherRequest request, TeacherAnswer answer)
    {
        var events = (form as StreamingForm ?? (StreamingForm)WireForms.Named("openai")).Events(request, answer);
        return Replies.Bytes(context, StreamingForm.Join([.. events.SkipLast(1).Reverse(), StreamingForm.Done]), "text/event-stream");
    }

    static TeacherAnswer Rearranged(TeacherAnswer answer, Func<IReadOnlyList<Alternative>, IEnumerable<Alternative>> order) =>
        answer with
        {
            Tokens = [.. answer.Tokens.Select(token => token with { Alternatives = [.. order(token.Alternatives)] })],
        };

    static ReadOnlyMemory<byte> WithNaN(ReadOnlyMemory<byte> body)
    {
        var text = Encoding.UTF8.GetString(body.Span);
        var start = text.IndexOf("\"logprob\":", StringComparison.Ordinal) is >= 0 and var at
            ? at + "\"logprob\":".Length
            : text.IndexOf("\"output_token_logprobs\":[[", StringComparison.Ordinal) + "\"output_token_logprobs\":[[".Length;
        var end = start + text.AsSpan(start).IndexOfAny(',', '}');
        return Encoding.UTF8.GetBytes($"{text[..start]}NaN{text[end..]}");
    }

    static ReadOnlyMemory<byte> WithInvalidUtf8(ReadOnlyMemory<byte> body)
    {
        var name = body.Span.IndexOf("\"content\":\""u8) is >= 0 and var at ? at + 11 : body.Span.IndexOf("\"text\":\""u8) + 8;
        return (byte[])[.. body.Span[..name], 0xFF, 0xFE, .. body.Span[name..]];
    }
}

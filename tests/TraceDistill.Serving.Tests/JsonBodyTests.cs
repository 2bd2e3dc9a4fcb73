using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Protocol;
using TraceDistill.Serving.Responses;
using Xunit;

namespace TraceDistill.Serving.Tests;

public sealed class JsonBodyTests
{
    [Fact]
    public async Task FlushIfLargeAsync_LongResponse_IsSentOnAsItIsWritten()
    {
        using var sent = new MemoryStream();
        var context = new DefaultHttpContext();
        context.Response.Body = sent;
        var mostHeldBack = 0L;
        await using (var body = new JsonBody(context))
        {
            body.Json.WriteStartArray();
            for (var i = 0; i < 10_000; i++)
            {
                body.Json.WriteStringValue("0123456789");
                await body.FlushIfLargeAsync();
                mostHeldBack = long.Max(mostHeldBack, body.Json.BytesCommitted + body.Json.BytesPending - sent.Length);
            }

            body.Json.WriteEndArray();
        }

        Assert.InRange(mostHeldBack, 1, 64 << 10);
    }
}

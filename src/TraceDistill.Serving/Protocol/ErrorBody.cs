using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace TraceDistill.Serving.Protocol;

/// <summary>Errors in OpenAI's form: <c>{"error":{"message","type","param","code"}}</c>.</summary>
static class ErrorBody
{
    public static async Task WriteAsync(HttpResponse response, ApiException error)
    {
        response.StatusCode = error.Status;
        response.ContentType = "application/json";
        if (error.RetryAfter is { } seconds)
        {
            response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        await using var json = new Utf8JsonWriter(response.BodyWriter, JsonBody.Options);
        Write(json, error);
    }

    public static void Write(Utf8JsonWriter json, ApiException error)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", error.Message);
        json.WriteString("type", TypeOf(error.Status));
        json.WriteString("param", error.Field);
        json.WriteString("code", error.Code);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    static string TypeOf(int status) =>
        status switch
        {
            401 => "authentication_error",
            429 => "rate_limit_error",
            >= 500 => "server_error",
            _ => "invalid_request_error",
        };
}

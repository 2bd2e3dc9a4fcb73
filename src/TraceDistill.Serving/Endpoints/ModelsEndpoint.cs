using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Endpoints;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>: the one model that is served.</summary>
sealed class ModelsEndpoint(ServedModel model)
{
    /// <summary>Refuses a request for another model; a request that names none means this one.</summary>
    /// <exception cref="ApiException">404.</exception>
    public static void Check(ServedModel model, string? name)
    {
        if (name != null && name != model.Name)
        {
            throw new ApiException(404, $"model \"{name}\" is not served here; served: {model.Name}", "model_not_found", "model");
        }
    }

    public async Task ListAsync(HttpContext context)
    {
        await using var body = new JsonBody(context);
        body.Json.WriteStartObject();
        body.Json.WriteString("object", "list");
        body.Json.WriteStartArray("data");
        Write(body);
        body.Json.WriteEndArray();
        body.Json.WriteEndObject();
    }

    public async Task GetAsync(HttpContext context)
    {
        Check(model, context.Request.RouteValues["id"] as string);
        await using var body = new JsonBody(context);
        Write(body);
    }

    void Write(JsonBody body)
    {
        body.Json.WriteStartObject();
        body.Json.WriteString("id", model.Name);
        body.Json.WriteString("object", "model");
        body.Json.WriteNumber("created", model.Created);
        body.Json.WriteString("owned_by", "tracedistill");
        body.Json.WriteNumber("max_model_len", model.Engine.Configuration.MaxPositionEmbeddings);
        body.Json.WriteEndObject();
    }
}

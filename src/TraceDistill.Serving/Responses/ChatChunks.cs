using System.Text.Json;
using TraceDistill.Serving.Model;

namespace TraceDistill.Serving.Responses;

/// <summary>Content of a <c>chat.completion.chunk</c>: the new text as a delta, and the token's logprobs.</summary>
sealed class ChatChunks(GenerationJob job, TokenFragments fragments)
{
    readonly LogprobsWriter _logprobs = new(fragments, job.Fields.SampledLogprobs);
    readonly bool[] _begun = new bool[job.ChoiceCount];

    public void Write(Utf8JsonWriter json, StreamedToken one)
    {
        json.WriteStartObject("delta");
        if (!_begun[one.Choice])
        {
            _begun[one.Choice] = true;
            json.WriteString("role", "assistant");
        }

        json.WriteString("content", one.Text);
        json.WriteEndObject();
        if (job.TopLogprobs == null || one.Tokens == null)
        {
            json.WriteNull("logprobs");
            return;
        }

        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        _logprobs.Write(json, one.Tokens, 0);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}

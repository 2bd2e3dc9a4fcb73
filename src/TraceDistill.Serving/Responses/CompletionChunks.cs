using System.Text.Json;
using TraceDistill.Serving.Model;

namespace TraceDistill.Serving.Responses;

/// <summary>
/// Content of a streamed <c>text_completion</c>: the new text, and the token's logprobs. With echo, the prompt comes first.
/// </summary>
sealed class CompletionChunks(ServedModel model, GenerationJob job)
{
    readonly int[] _offsets = new int[job.ChoiceCount];

    public void Write(Utf8JsonWriter json, StreamedToken one)
    {
        json.WriteString("text", one.Text);
        if (job.TopLogprobs == null || one.Tokens == null)
        {
            json.WriteNull("logprobs");
            return;
        }

        var columns = new CompletionLogprobs(model, job.Fields);
        if (one.IsPrompt)
        {
            columns.AddPrompt(job.PromptOf(one.Choice), one.Tokens);
        }
        else
        {
            columns.Add(one.Tokens);
        }

        columns.Write(json, _offsets[one.Choice]);
        _offsets[one.Choice] += columns.Characters();
    }
}

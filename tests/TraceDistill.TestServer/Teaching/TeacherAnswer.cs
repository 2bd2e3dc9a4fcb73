using System.Text;

namespace TraceDistill.TestServer.Teaching;

/// <summary>A teacher's generation, before a server puts it into its own form.</summary>
/// <param name="Text">All of it, with the think tags that were generated.</param>
/// <param name="Reasoning">Reasoning; empty where there is none.</param>
/// <param name="Answer">Answer after it.</param>
/// <param name="Tokens">Every token drawn, the tags of the reasoning and the end of the sequence included.</param>
/// <param name="PromptTokenIds">The rendered prompt.</param>
/// <param name="FinishReason"><c>stop</c> or <c>length</c>.</param>
public sealed record TeacherAnswer(
    string Text,
    string Reasoning,
    string Answer,
    IReadOnlyList<TeacherToken> Tokens,
    int[] PromptTokenIds,
    string FinishReason = "stop"
)
{
    /// <summary>The answer token by token; characters of several tokens come with the last of them.</summary>
    public IReadOnlyList<TeacherAnswer> Pieces()
    {
        var (decoder, isThought, pieces) = (Encoding.UTF8.GetDecoder(), false, new List<TeacherAnswer>());
        foreach (var token in Tokens)
        {
            var (isTag, isEnd) = (
                token.Id is TestVocabulary.ThinkOpen or TestVocabulary.ThinkClose,
                token.Id == TestVocabulary.EndOfSequence
            );
            isThought = isTag ? token.Id == TestVocabulary.ThinkOpen : isThought;
            var bytes = isEnd ? [] : TestVocabulary.Bytes(token.Id);
            var chars = new char[bytes.Length + 4];
            var text = new string(chars, 0, decoder.GetChars(bytes, 0, bytes.Length, chars, 0));
            pieces.Add(
                new TeacherAnswer(
                    text,
                    isThought && !isTag ? text : "",
                    isThought || isTag ? "" : text,
                    [token],
                    PromptTokenIds,
                    FinishReason
                )
            );
        }

        return pieces;
    }
}

/// <summary>A token drawn, its logprob, and the likeliest tokens in its place, best first.</summary>
public sealed record TeacherToken(int Id, float Logprob, IReadOnlyList<Alternative> Alternatives);

/// <summary>A token with its natural-log probability.</summary>
public readonly record struct Alternative(int Id, float Logprob);

using System.Text;
using System.Text.RegularExpressions;

namespace TraceDistill.TestServer.Teaching;

/// <summary>Teachers that give equal answers to equal requests.</summary>
public static partial class ScriptedTeachers
{
    const int MostAlternatives = 20;

    /// <summary>Adds the numbers in the user's words; the seed decides the phrasing. Some of its tokens are halves of characters.</summary>
    public static TeacherAnswer Sum(TeacherRequest request)
    {
        var numbers = NumberPattern().Matches(request.Prompt).Select(match => long.Parse(match.Value)).ToArray();
        var step = (request.Key % 3) switch
        {
            0 => "add them",
            1 => "count on",
            _ => "Σ → √",
        };
        return Answer(request, $"{string.Join(" and ", numbers)}: {step}", $" {numbers.Sum()}");
    }

    /// <summary>The answer with these words, cut off after as many tokens as were asked for.</summary>
    public static TeacherAnswer Answer(TeacherRequest request, string reasoning, string answer)
    {
        var text = $"<think>{reasoning}</think>{answer}";
        int[] ids = [.. TestVocabulary.Encode(text), TestVocabulary.EndOfSequence];
        var prompt = TestVocabulary.Encode(request.Prompt).ToArray();
        if (ids.Length <= request.MaxTokens)
        {
            return new TeacherAnswer(text, reasoning, answer, Draw(request, ids), prompt);
        }

        ids = ids[..request.MaxTokens];
        text = Encoding.UTF8.GetString([.. ids.SelectMany(TestVocabulary.Bytes)]);
        var parts = text["<think>".Length..].Split("</think>");
        return new TeacherAnswer(text, parts[0], parts.Length > 1 ? parts[1] : "", Draw(request, ids), prompt, "length");
    }

    /// <summary>
    /// Gives each token a distribution that it could have been drawn from: its probabilities
    /// sum to less than one, now and then it is not the best.
    /// </summary>
    static List<TeacherToken> Draw(TeacherRequest request, int[] ids)
    {
        var random = new SplitMix64(request.Key ^ 0x5DEECE66D);
        var tokens = new List<TeacherToken>(ids.Length);
        foreach (var id in ids)
        {
            var rank = random.Next(10) == 0 ? 1 : 0;
            var best = 0.5 + (0.45 * random.NextDouble());
            var alternatives = new Alternative[MostAlternatives];
            for (var i = 0; i < MostAlternatives; i++)
            {
                // 1009 and the size of the vocabulary have no common factor: twenty steps meet no token twice.
                var probability = i == 0 ? best : (1 - best) * 0.6 * Math.Pow(0.4, i - 1) * (0.9 + (0.1 * random.NextDouble()));
                alternatives[i] = new Alternative(
                    (id + (1009 * (i - rank + MostAlternatives))) % TestVocabulary.Size,
                    (float)Math.Log(probability)
                );
            }

            alternatives[rank] = alternatives[rank] with { Id = id };
            tokens.Add(new TeacherToken(id, alternatives[rank].Logprob, alternatives));
        }

        return tokens;
    }

    [GeneratedRegex("[0-9]+")]
    private static partial Regex NumberPattern();
}

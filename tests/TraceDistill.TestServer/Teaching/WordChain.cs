namespace TraceDistill.TestServer.Teaching;

/// <summary>
/// Made-up text for measurements: a Markov chain over the vocabulary's words. What may follow a word is always
/// the same, frequent words follow many others, and a word that follows is drawn by its probability, which
/// differs a little from one time to the next: so soft targets repeat themselves about as much as a model's do.
/// </summary>
public static class WordChain
{
    const int Alternatives = 20;

    /// <summary>As many words as may be asked for, and the end of the sequence.</summary>
    public static TeacherAnswer Answer(TeacherRequest request)
    {
        var random = new SplitMix64(request.Key);
        var tokens = new List<TeacherToken>(request.MaxTokens);
        var last = TestVocabulary.EndOfSequence;
        while (tokens.Count < request.MaxTokens - 1)
        {
            var token = Draw(Followers(last), ref random);
            tokens.Add(token);
            last = token.Id;
        }

        var text = string.Concat(tokens.Select(token => TestVocabulary.Text(token.Id)));
        var end = Draw(Followers(last), ref random);
        tokens.Add(
            end with
            {
                Id = TestVocabulary.EndOfSequence,
                Alternatives = [end.Alternatives[0] with { Id = TestVocabulary.EndOfSequence }, .. end.Alternatives.Skip(1)],
                Logprob = end.Alternatives[0].Logprob,
            }
        );
        return new TeacherAnswer(text, "", text, tokens, [1, 2, 3]);
    }

    static int[] Followers(int word)
    {
        var random = new SplitMix64((ulong)word);
        var followers = new HashSet<int>();
        while (followers.Count < Alternatives)
        {
            // The cube makes the first eighth of the words as frequent as all others.
            followers.Add(
                TestVocabulary.FirstWord + (int)(Math.Pow(random.NextDouble(), 3) * (TestVocabulary.Size - TestVocabulary.FirstWord))
            );
        }

        return [.. followers];
    }

    static TeacherToken Draw(int[] followers, ref SplitMix64 random)
    {
        var best = 0.4 + (0.5 * random.NextDouble());
        var row = new Alternative[followers.Length];
        for (var i = 0; i < row.Length; i++)
        {
            var probability = i == 0 ? best : (1 - best) * 0.35 * Math.Pow(0.65, i - 1) * (0.7 + (0.3 * random.NextDouble()));
            row[i] = new Alternative(followers[i], (float)Math.Log(probability));
        }

        Array.Sort(row, (a, b) => b.Logprob.CompareTo(a.Logprob));
        var drawn = row[0];
        var left = random.NextDouble();
        foreach (var alternative in row)
        {
            left -= Math.Exp(alternative.Logprob);
            if (left < 0)
            {
                drawn = alternative;
                break;
            }
        }

        return new TeacherToken(drawn.Id, drawn.Logprob, row);
    }
}

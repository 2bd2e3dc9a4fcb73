using System.Text.Json;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Traces whose tokens are coloured by the distribution they were drawn from and show it when pointed at.</summary>
static class TokenExplorer
{
    /// <summary>Identifies the script element that holds the distributions.</summary>
    public const string DataId = "trace-data";

    public static Html Render(IReadOnlyList<TraceFacts> sets)
    {
        var examples = sets.SelectMany(set =>
                set.Examples.Where(trace => trace.Logprobs is { Count: > 0 })
                    .Select(trace => (Trace: trace, Tokenizer: set.Tokenizer!, Set: set.Stage.Name))
            )
            .ToList();
        return Html.Of(
            $"""
            <h3>Token by token</h3>
            <p>Every token with the distribution that it was drawn from: point at one, or move with the arrow keys. Deeper colour means more
            of what is chosen below; underlined tokens were not the most probable ones.
            Half of the traces shown are wrong where the data set has as many.</p>
            <fieldset class="modes"><legend>Colour by</legend>
            <label><input type="radio" name="mode" value="entropy" checked="checked" /> entropy</label>
            <label><input type="radio" name="mode" value="tail" /> mass outside the top-k</label>
            <label><input type="radio" name="mode" value="surprise" /> surprise of the token drawn</label>
            </fieldset>
            <div class="traces" data-mode="entropy">{examples.Select(
                (example, index) => Trace(example.Trace, example.Tokenizer, example.Set, index)
            )}</div>
            <div id="distribution" role="status" hidden="hidden"></div>
            <script type="application/json" id="{DataId}">{Html.Trusted(
                Data([.. examples.Select(example => (example.Trace, example.Tokenizer))])
            )}</script>
            """
        );
    }

    static Html Trace(Trace trace, Tokenizer tokenizer, string set, int index)
    {
        var logprobs = trace.Logprobs!;
        var tokens = Enumerable.Range(0, logprobs.Count).Select(token => Token(logprobs, tokenizer, token));
        var question = trace.Messages.LastOrDefault(message => message.Role == "user")?.Content ?? "";
        return Html.Of(
            $"""
            <details class="trace" {(index == 0 ? Html.Of($"""open="open" """) : Html.Empty)}><summary><span class="verdict {(
                trace.Verdict is "correct" or "incorrect" ? trace.Verdict : "unverified"
            )}">{trace.Verdict}</span>
            <span class="question">{question}</span></summary>
            <p class="soft">{set} · {trace.Source} · {trace.CompletionTokens} tokens · {trace.FinishReason} ·
            expected {trace.ExpectedAnswer}</p>
            <div class="tokens" data-trace="{index}">{tokens}</div></details>
            """
        );
    }

    static Html Token(TokenLogprobs logprobs, Tokenizer tokenizer, int token)
    {
        var row = TokenRow.Of(logprobs, token);
        var text = Spell(tokenizer, logprobs.TokenIds[token]);
        var kind = (row.IsTop ? "" : " other") + (tokenizer.IsSpecial(logprobs.TokenIds[token]) ? " special" : "");

        // Square roots, because most tokens are nearly certain and small differences between them matter.
        var (entropy, tail, surprise) = (Shade(row.Entropy / 2), Shade(row.Tail / 0.1), Shade(-row.Logprob / 4));
        var style = Html.Of($"--entropy:{entropy:0.##};--tail:{tail:0.##};--surprise:{surprise:0.##}");
        return Html.Of($"""<span class="t{kind}" tabindex="{(token == 0 ? 0 : -1)}" style="{style}">{text}</span>""");
    }

    static double Shade(double share) => Math.Sqrt(Math.Clamp(share, 0, 1));

    /// <summary>The token's text; its bytes where they are no whole characters or none that can be seen.</summary>
    static string Spell(Tokenizer tokenizer, int id)
    {
        var text = tokenizer.Decode([id]);
        return text.Any(letter => letter == '\uFFFD' || char.IsControl(letter) && letter is not ('\n' or '\t'))
            ? $"⟨{Convert.ToHexStringLower(tokenizer.GetBytes(id))}⟩"
            : text;
    }

    /// <summary>
    /// <c>{ words: { id: text }, traces: [[[sampled id, logprob, id, logprob, …] a token] a trace] }</c>,
    /// alternatives by falling probability. The encoder escapes everything that could end a script element.
    /// </summary>
    static string Data(IReadOnlyList<(Trace Trace, Tokenizer Tokenizer)> examples)
    {
        var words = new SortedDictionary<int, string>();
        var traces = examples
            .Select(example =>
                Rows(example.Trace.Logprobs!)
                    .Select(row =>
                    {
                        foreach (var id in row.Where((_, index) => index % 2 == 0))
                        {
                            words.TryAdd((int)id, Spell(example.Tokenizer, (int)id));
                        }

                        return row;
                    })
                    .ToArray()
            )
            .ToArray();
        return JsonSerializer.Serialize(new { words, traces });
    }

    static IEnumerable<double[]> Rows(TokenLogprobs logprobs) =>
        Enumerable
            .Range(0, logprobs.Count)
            .Select(token =>
                (double[])
                    [
                        logprobs.TokenIds[token],
                        Rounded(logprobs.Logprobs[token]),
                        .. Enumerable
                            .Range(token * logprobs.K, logprobs.K)
                            .Where(entry => logprobs.TopIds[entry] >= 0 && float.IsFinite(logprobs.TopLogprobs[entry]))
                            .SelectMany(entry => new[] { logprobs.TopIds[entry], Rounded(logprobs.TopLogprobs[entry]) }),
                    ]
            );

    static double Rounded(float logprob) => float.IsFinite(logprob) ? Math.Round(logprob, 4) : -99;
}

namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>Conclusion of a text's last sentence, where nothing calls it the answer: <c>So she has 5 apples left.</c></summary>
static class Conclusions
{
    /// <summary>The value of the last sentence that has one; null where none has.</summary>
    /// <param name="from">Sentences that begin before are passed over.</param>
    public static Finding? Last(string text, int from)
    {
        var sentences = Sentences.Of(text);
        for (var i = sentences.Count - 1; i >= 0 && sentences[i].Start >= from; i--)
        {
            if (
                Remarks.IsAside(sentences[i].Text) && i > 0
                || SentenceReader.Read(sentences[i].Text, text[..sentences[i].Start], isStated: false) is not { } found
            )
            {
                continue;
            }

            var behind = text[sentences[i].End..];
            var isOpen = Remarks.TakeBack(behind) || Remarks.GoOn(behind) || Doubt.HasNumberWord(behind) || Remarks.IsCut(text);
            return found with { IsCertain = found.IsCertain && !isOpen };
        }

        return null;
    }
}

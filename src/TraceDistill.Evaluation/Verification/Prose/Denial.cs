using System.Text.RegularExpressions;

namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>Words that say that what stands beside them is not the answer.</summary>
static class Denial
{
    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase;

    const string Negations =
        @"not|\w+n['’]t|cannot|never|neither|nor|no es|no son|no|nicht|keine?|nie|pas|não|non|не|нет|niet|geen|nie jest|inte"
        + "|ikke|değil";

    // Chinese puts no space around them; Japanese, Korean and others put them last.
    const string Unspaced =
        "不是|不为|不等于|不可能|并非|不对|ではありません|ではない|じゃない|이 아닙니다|가 아닙니다|이 아니다|아니다|नहीं";

    /// <summary>Most characters before a place that are looked at.</summary>
    const int MaxLead = 40;

    static readonly Regex Anywhere = new($@"\b(?:{Negations})\b|\\neq?\b|≠|{Unspaced}", Linear);

    static readonly Regex Leading = new(
        $@"^(?:(?:{Negations})\b|\\neq?\b|≠|不是|不为|不等于)|ではありません|ではない|じゃない|이 아닙니다|가 아닙니다|이 아니다|नहीं|değil",
        Linear
    );

    static readonly Regex Before = new(
        $@"(?:\b(?:{Negations})(?: (?:equal to|equal|be|exactly|simply|just))?|\\neq?|≠|不是|不为|不等于)$",
        Linear
    );

    /// <summary>Returns whether a text has a denial anywhere.</summary>
    public static bool IsIn(string text) => Anywhere.IsMatch(text);

    /// <summary>Returns whether a text begins with a denial, or has one of the languages that put it last.</summary>
    public static bool IsAtStart(string text) => Leading.IsMatch(text);

    /// <summary>Returns whether the words before a place deny what stands there.</summary>
    public static bool IsBefore(string text, int at)
    {
        var start = Math.Max(0, at - MaxLead);
        return Before.IsMatch(text[start..at].TrimEnd(' ', '$', '*', '_', '(', '\\', '[', ':', '`', '"', '{'));
    }
}

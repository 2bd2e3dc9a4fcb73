using System.Globalization;
using System.Text;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Scoring;

/// <summary>
/// The tokens of a text as a server says that it scored them, in order, before it is known whether they are those that were sent: what each
/// was, how likely, and what might have stood in its place.
/// </summary>
/// <param name="k">Alternatives kept for each.</param>
sealed class ScoredTokens(int k)
{
    /// <summary>How vLLM and this project's server spell a token by its id.</summary>
    const string IdSpelling = "token_id:";

    /// <summary>How OpenAI spells a token that is a part of a character: <c>bytes:\xe2\x9c</c>.</summary>
    const string BytesSpelling = "bytes:";

    const string NoLogprob = "returned no logprob for a token";

    const string NoAlternatives = "returned no alternatives for a token";

    readonly List<string?> _problems = [];
    int _told;

    /// <summary>A row for each token; that of a token without a logprob, as the first one's, has no meaning.</summary>
    public LogprobColumns Columns { get; } = new(k);

    /// <summary>Names of the tokens.</summary>
    public List<ScoredToken> Tokens { get; } = [];

    /// <summary>Bytes of the alternatives where those are named by text: their ids in the columns are places in it.</summary>
    public TokenBytesTable Bytes { get; } = new();

    /// <summary>True where alternatives are named by text.</summary>
    public bool AreNamedByText { get; private set; }

    /// <summary>The text that was echoed; null where none was.</summary>
    public string? Text { get; set; }

    public int PromptTokens { get; set; }

    public int CompletionTokens { get; set; }

    /// <summary>Adds an alternative of the current token by its id.</summary>
    public void AddAlternative(int id, float logprob)
    {
        _told++;
        Columns.AddAlternative(id, logprob);
    }

    /// <summary>Adds an alternative of the current token by its name in a list of <c>/v1/completions</c>.</summary>
    public void AddAlternative(string name, float logprob)
    {
        if (IdOf(name) is { } id)
        {
            AddAlternative(id, logprob);
            return;
        }

        AreNamedByText = true;
        _told++;

        // One that cannot be told from others joins the tail.
        if (BytesOf(name) is { } bytes)
        {
            Columns.AddAlternative(Bytes.IdOf(bytes), logprob);
        }
    }

    /// <summary>Ends the current token.</summary>
    /// <param name="logprob">Null where it has none, as the first one.</param>
    /// <param name="problem">What is wrong with its row; null where nothing is.</param>
    /// <param name="least">Alternatives without which its row is none.</param>
    public void End(ScoredToken token, float? logprob, string? problem = null, int least = 1)
    {
        problem ??= logprob is not null && _told < least ? NoAlternatives : null;
        _told = 0;
        Tokens.Add(token);
        Columns.EndRow(Math.Max(0, token.Id), logprob ?? LogprobColumns.Floor);
        _problems.Add(problem ?? (logprob is null ? NoLogprob : null));
    }

    /// <summary>Says that a token that has ended is another one of its row.</summary>
    public void Rename(int index, ScoredToken token, float? logprob, string? problem)
    {
        Tokens[index] = token;
        Columns.Rename(index, Math.Max(0, token.Id), logprob ?? LogprobColumns.Floor);
        _problems[index] = problem
            ?? (
                logprob is null ? NoLogprob
                : _problems[index] == NoAlternatives ? NoAlternatives
                : null
            );
    }

    /// <summary>The fault of rows of these tokens; null where there is none.</summary>
    public string? Problem(int first, int count) => _problems.Skip(first).Take(count).FirstOrDefault(problem => problem is not null);

    /// <summary>A token by its name in a list of <c>/v1/completions</c>.</summary>
    public static ScoredToken Named(string name) => IdOf(name) is { } id ? new ScoredToken(id) : new ScoredToken(-1, name);

    /// <returns>Null for a text.</returns>
    static int? IdOf(string name) =>
        name.StartsWith(IdSpelling, StringComparison.Ordinal)
        && int.TryParse(name.AsSpan(IdSpelling.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            ? id
            : null;

    /// <returns>Null where the bytes are not to be had: U+FFFD stands for parts of characters.</returns>
    public static byte[]? BytesOf(string name)
    {
        if (!name.StartsWith(BytesSpelling, StringComparison.Ordinal) || name.Length == BytesSpelling.Length)
        {
            return name.Contains('\uFFFD') ? null : Encoding.UTF8.GetBytes(name);
        }

        var digits = name[BytesSpelling.Length..].Replace("\\x", "", StringComparison.Ordinal);
        return digits.Length % 2 == 0 && digits.All(char.IsAsciiHexDigit) ? Convert.FromHexString(digits) : Encoding.UTF8.GetBytes(name);
    }
}

/// <summary>The name that a server gives a token.</summary>
/// <param name="Id">Its id; −1 where it is named by text alone.</param>
/// <param name="Text">Its text; null where that is not told.</param>
readonly record struct ScoredToken(int Id, string? Text = null);

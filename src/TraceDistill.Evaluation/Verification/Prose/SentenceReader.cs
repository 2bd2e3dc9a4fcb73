using System.Buffers;
using System.Text.RegularExpressions;
using TraceDistill.Data.Answers.Notation;

namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>Reads the value that a sentence asserts.</summary>
/// <remarks>
/// A value is certain only where the sentence can be read in one way. It has to assert (<see cref="Doubt"/>) once details are set aside
/// (<see cref="Clauses"/>), and one value in it has to stand out: what a calculation comes to, what is set apart by emphasis or as a
/// formula at the end, or the one number that is not repeated from above.
/// </remarks>
static class SentenceReader
{
    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    // A formula, or something emphasized, that ends the sentence.
    static readonly Regex SetApart = new(
        @"(?:\*\*(?<value>[^*\n]+?)\.?\*\*|\$\$(?<value>[^$]+)\$\$|\$(?<value>[^$\n]+)\$|\\\((?<value>[^\n]+?)\\\)"
            + @"|\\\[(?<value>[^\[]+?)\\\])[\s.!*]*$",
        Linear
    );

    // Several formulas that are one answer: $x = 1$ or $x = 4$.
    static readonly Regex Series = new(@"(?<value>\$[^$\n]+\$(?:(?:, ?|,? (?:and|or) )\$[^$\n]+\$)+)[\s.]*$", Linear);

    // Names with their values, which are one answer: x = 3 and y = 4.
    static readonly Regex Assignments = new(
        @"(?<value>\b\p{L}\s*=\s*[-−]?\d+(?:\.\d+)?(?:/\d+)?(?:\s*(?:,|;|,? and"
            + @"|,? or)\s*\p{L}\s*=\s*[-−]?\d+(?:\.\d+)?(?:/\d+)?)+)[\s.$*]*$",
        Linear
    );

    // $25, so the customer pays $75: two prices with words between.
    static readonly Regex Prices = new(@"^\d[^\\]* \p{L}{2,}", Linear);

    static readonly Regex Inline = new(@"\$(?<value>[^$\n]+)\$", Linear);

    // A formula in plain text behind a verb: "the quotient is 3x + 2".
    static readonly Regex Verbs = new(
        @"\b(?:is|are|equals?|equal to|be|to|at|get|find|obtain|have|gives?|yields?|(?:ends?|ended) up with|left with)[ *]",
        Linear | RegexOptions.IgnoreCase
    );

    static readonly Regex PlainFormula = new(@"^(?:[\d\s+\-−–*/·×÷^()\[\]{}√π∞.,=⁰¹²³⁴-⁹⁺⁻ⁿ]|\b\p{L}\b|\d\p{L}\b)+$", Linear);

    static readonly Regex NumberList = new(
        @"^\d+(?::\d+)+$|^[-−]?\d+(?:\.\d+)?(?:, [-−]?\d+(?:\.\d+)?)*,? and [-−]?\d+(?:\.\d+)?$",
        Linear
    );

    static readonly Regex NoSolution = new(
        @"\b(?:is|are|has|have) (?<value>no (?:real |integer |such )?solutions?)[\s.!*]*$",
        Linear | RegexOptions.IgnoreCase
    );

    static readonly Regex Emphasis = new(@"\*\*(?<value>[^*\n]+)\*\*", Linear);

    // A choice, perhaps with its text behind it: "the correct option is D. 3/8".
    static readonly Regex Option = new(
        @"\b(?:option|choice|answer|opción|respuesta|opção|alternativa|resposta|opzione|risposta|réponse|Antwort|Option|вариант|ответ)"
            + @"(?: (?:correct[ao]?|correcta|correcto|correta|correto|corretta|richtige|bonne|верный|правильный))? "
            + @"(?:is |es |est |ist |é |è |— )?(?:the |la |a |el |o |die )?(?:(?:option|choice|letter|letra|lettre) "
            + @")?[*\s]*\(?(?<value>[A-J])(?:\)?[\s.*]*|[).:]+\*{0,2} +[-−$\\\d].*)$",
        Linear
    );

    static readonly Regex Inequality = new(
        @"(?:^|[ ,:])(?<value>\(?[\p{L}][\w']{0,2}(?:\(\w\))?\s*(?:<|>|≤|≥|≠|\\le|\\ge|\\ne)[^=<>≤≥≠\n]+?)[\s.]*$",
        Linear
    );

    // What a formula that ends a sentence stands behind.
    static readonly Regex Introduces = new(
        @"\b(?:is|are|equals?|equal to|gives?|get|find|obtain|becomes|have|conclude that|yields?|be)\b[^.]{0,40}$"
            + @"|[=:]\s*$|^[\s*_#>-]*\w+,?\s*$",
        Linear | RegexOptions.IgnoreCase
    );

    static readonly Regex Summaries = new(
        @"\b(?:total|altogether|left|remain\w*|result|answer|combined|in all|sum|quedan?|restan?|sobran?|restent?"
            + @"|reste|bleiben|bleibt|übrig|rimangono|осталось|остается|остаётся|zostało)\b|剩|还有|残",
        Linear | RegexOptions.IgnoreCase
    );

    // Numbers on both sides of a sign, or a fraction, a root, a power or a factorial of a number.
    static readonly Regex Arithmetic = new(
        @"(?<formula>\d[)%\]}]*\s*(?:[\p{L}%$.²³/]+[\s/]*){0,6}?(?:[-+*/×÷·⋅–−x]|\\times|\\cdot|\\div)\s*[$€£(\\{]*[-+]?\.?\d[^=]*"
            + @"|\d\(\d+\)\s*|\\[dt]?frac\{?\d+\}?\{?\d+\}?\s*|(?:\\sqrt|√)\W*\d+\W*|\d\)?\s*[!^][{}\d\s]*)$",
        Linear
    );

    static readonly Regex Variable = new(@"\b[b-wyzB-WYZ]\b|\d[a-wyz]\b", Linear);

    static readonly SearchValues<char> FormulaSigns = SearchValues.Create("\\|∣≡∈{}[]_");

    // A power of a number or a variable: 10⁵, 2x². Units have theirs behind a word or m: cm², m².
    static readonly Regex Power = new(@"(?:^|[^\p{L}])[a-ln-zA-Z]?[⁰¹²³⁴-⁹⁻ⁿ]", Linear);

    static readonly char[] Digits = [.. "0123456789"];

    static readonly Regex AttachedUnit = new(@"^\p{L}+", Linear);

    static readonly Regex UnitBehindNumber = new(@"\d(?<unit>\p{L}+)", Linear);

    // "3 + 4 = 7 is the first step": a result that more is said of.
    static readonly Regex IsSubject = new(@"^[\s*$]*(?:is|was|are|as|would)\b", Linear | RegexOptions.IgnoreCase);

    // One step of several, which nothing calls the last.
    static readonly Regex Step = new(@"^\W*(?:step|part|case|phase|stage) \w+\W", Linear | RegexOptions.IgnoreCase);

    // A denial that tells the things counted, and not the result: "17 students are not on the team".
    static readonly Regex Described = new(
        @"\b(?:are|were|will|do|did|had|have|would|could)(?: not\b|n['’]t\b)|\b(?:who|that"
            + @"|which) (?:\w+ ){0,3}(?:not|\w+n['’]t|cannot|neither|no)\b",
        Linear | RegexOptions.IgnoreCase
    );

    static readonly Regex Named = new(@"(?:^|[\s,:*$(])(?<name>(?:\p{L}(?:_?\d|_\{\w+\}|')?(?:\(\w+\))?|[A-Z]{2,3}))\s*$", Linear);

    static readonly Regex NamedBefore = new(@"\b(?<name>\p{L})\s*=", Linear);

    // Behind a name's value: the end, a unit, or a remark.
    static readonly Regex EndsThere = new(@"^[\s*$]*(?:\p{L}+[\s*$]*){0,3}(?:[.,;!(:].*)?$", Linear);

    static readonly Regex Labelled = new(@"(?:^|[\s*])\p{L}[\p{L}']{2,}[\s*_]*$", Linear);

    // A place where something holds: "at x = 6".
    static readonly Regex Placed = new(@"\b(?:at|for|with|where|put|set|take|using|of|by)[\s$*]*$", Linear | RegexOptions.IgnoreCase);

    // The last of two assertions: "leaves no remainder and the quotient is …".
    static readonly Regex Conjunctions = new(@"(?:, and|;| and the) [^,;]*$", Linear | RegexOptions.IgnoreCase);

    static readonly Regex Equated = new(@"=[\s$*\\(]*(?<value>[-+−]?\\?[$€£]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?)", Linear);

    static readonly Regex ListItem = new(@"^(?:[-•+]\s|\*\s|\d+[.)]\s|\||#)", Linear);

    /// <param name="before">The text above the sentence.</param>
    /// <param name="isStated">True where the words ahead of the sentence call it the answer.</param>
    /// <returns>Null where the sentence has no value.</returns>
    public static Finding? Read(string sentence, string before, bool isStated)
    {
        if (Alone(sentence) is { } alone)
        {
            return alone;
        }

        var scope = new Scope(sentence, before, isStated);
        return AtTheEnd(scope) ?? Equation(scope) ?? Emphasized(scope) ?? Number(scope);
    }

    /// <summary>A sentence, the text above it, and its clause that draws the conclusion.</summary>
    sealed class Scope
    {
        public Scope(string sentence, string before, bool isStated)
        {
            // Emphasis of whole phrases sets nothing apart.
            Whole = Emphasis.Replace(sentence, match =>
                Statements.IsAnswer(match.Groups["value"].Value) ? match.Value : match.Groups["value"].Value
            );
            Text = Clauses.WithoutDetails(Whole);
            IsGuess = Doubt.IsGuess(Clauses.WithoutContrast(Whole));
            (Before, IsStated, ClauseStart, HasLead) = (before, isStated, Clauses.Conclusion(Text), Clauses.HasLead(Text));
        }

        /// <summary>The sentence as it stands.</summary>
        public string Whole { get; }

        /// <summary>The sentence without details.</summary>
        public string Text { get; }

        /// <summary>Text behind the statement that was left out as a detail.</summary>
        public string Details => Whole.IndexOf(Text, StringComparison.Ordinal) is >= 0 and var start ? Whole[(start + Text.Length)..] : "";

        public string Before { get; }

        public bool IsStated { get; }

        public bool IsGuess { get; }

        public bool HasLead { get; }

        public bool IsStep => !HasLead && !IsStated && Step.IsMatch(Whole);

        public int ClauseStart { get; }

        public string Clause => Text[ClauseStart..];

        /// <summary>
        /// Returns whether the first characters of the text, as far as they stand in its clause, do anything else than assert.
        /// </summary>
        public bool IsDoubtful(int length)
        {
            var words = Text[Math.Min(length, ClauseStart)..length];
            words = Conjunctions.Match(words) is { Success: true } last ? words[last.Index..] : words;
            return IsGuess || IsStep || Doubt.IsConditional(Text[..length]) || Doubt.IsIn(words);
        }
    }

    /// <summary>A line that is a value and nothing else.</summary>
    static Finding? Alone(string sentence)
    {
        var isDressed = sentence.StartsWith("**", StringComparison.Ordinal) || sentence.StartsWith('$') || sentence.StartsWith('\\');
        var value = sentence.Trim('*', '_', '`', ' ').TrimEnd('.', ' ', '*').TrimStart('=', ' ');
        var isOther = value.Contains('=', StringComparison.Ordinal) || value.EndsWith(':') || ListItem.IsMatch(sentence);
        isOther |= Doubt.IsEnglish(value) || Doubt.IsGuess(value) || Doubt.IsConditional(value) || Denial.IsIn(value);
        return isOther || !Statements.IsAnswer(value) || !isDressed && !Statements.StartsWithNumber(value) ? null : new(value, true);
    }

    /// <summary>A formula, emphasis, a choice or an inequality that ends the sentence.</summary>
    static Finding? AtTheEnd(Scope scope)
    {
        var sentence = scope.Text;
        var isOpen = scope.IsGuess || Denial.IsIn(scope.Clause) || Doubt.IsRetraction(scope.Clause);
        if (Option.Match(sentence) is { Success: true } option)
        {
            return new(option.Groups["value"].Value, !isOpen && !Doubt.IsAlternative(sentence));
        }

        if (Series.Match(sentence) is { Success: true } series && Introduces.IsMatch(sentence[..series.Index]))
        {
            return new(series.Groups["value"].Value.Replace("$", "", StringComparison.Ordinal), !scope.IsDoubtful(series.Index));
        }

        if (Assignments.Match(sentence) is { Success: true } several)
        {
            return new(several.Groups["value"].Value, !scope.IsDoubtful(several.Index));
        }

        if (SetApart.Match(sentence) is { Success: true } apart && Statements.SetApart(apart.Groups["value"].Value) is { } value)
        {
            var lead = sentence[..apart.Index];
            var isAsserted = IsCalculation(apart.Groups["value"].Value)
                ? !Denial.IsIn(lead[Math.Min(lead.Length, scope.ClauseStart)..])
                : lead.Length == 0 || Introduces.IsMatch(lead) && !NumbersInText.IsGoverned(lead) && !scope.IsDoubtful(lead.Length);
            return isAsserted || value.Any(char.IsLetter) ? new(value, isAsserted && !scope.IsGuess) : null;
        }

        if (
            Verbs.Matches(sentence).LastOrDefault() is { } verb
            && sentence[(verb.Index + verb.Length)..].TrimEnd('.', ' ', '*') is var formula
            && (
                formula.Any(character =>
                    char.IsLetter(character)
                    || character is '^' or '√' or '('
                    || PlainCharacters.Superscripts.Contains(character, StringComparison.Ordinal)
                )
                    && PlainFormula.IsMatch(formula)
                    && !IsCalculation(formula)
                || NumberList.IsMatch(formula)
            )
            && (formula[0] == '(' || !verb.Value.StartsWith("at", StringComparison.OrdinalIgnoreCase))
        )
        {
            return new(
                formula,
                !scope.IsDoubtful(verb.Index + verb.Length) && !sentence[..verb.Index].Contains('=', StringComparison.Ordinal)
            );
        }

        if (NoSolution.Match(sentence) is { Success: true } none)
        {
            return new(none.Groups["value"].Value, !scope.IsGuess && !Doubt.IsConditional(sentence) && !Doubt.IsAlternative(sentence));
        }

        return
            scope.HasLead
            && Inequality.Match(sentence) is { Success: true } relation
            && Statements.IsAnswer(relation.Groups["value"].Value.Trim())
            ? new(relation.Groups["value"].Value.Trim(), !isOpen && !Doubt.IsConditional(sentence))
            : null;
    }

    /// <summary>Returns whether a formula is numbers that are calculated with and what they come to.</summary>
    static bool IsCalculation(string formula) =>
        formula.LastIndexOf('=') is > 0 and var equals && IsArithmetic(Term(formula[..equals]), "", out _);

    /// <summary>Term behind the last equals sign.</summary>
    static string Term(string text) => text[(text.LastIndexOf('=') + 1)..];

    /// <summary>Returns whether numbers and nothing else are calculated with.</summary>
    /// <param name="unit">Letters that are a unit and no variable.</param>
    static bool IsArithmetic(string term, string unit, out int start)
    {
        var formula = Arithmetic.Match(term);
        start = formula.Index;
        return formula.Success && Variable.Matches(formula.Value).All(match => match.Value.TrimStart(Digits) == unit);
    }

    /// <summary>Result of a calculation, or a name's value.</summary>
    static Finding? Equation(Scope scope)
    {
        var (sentence, equals) = (scope.Text, scope.Text.LastIndexOf('='));
        if (
            equals <= 0
            || equals < scope.ClauseStart && NumbersInText.First(scope.Clause) is not null
            || sentence[equals - 1] is '<' or '>' or '!' or '='
        )
        {
            return null;
        }

        var (left, right) = (sentence[..equals], sentence[(equals + 1)..].TrimStart(' ', '*', '_', '`'));
        if (NumbersInText.First(right) is not { Index: 0 } number)
        {
            return Statements.Value(right) is { } formula ? new(formula, false) : null;
        }

        var behind = right[number.End..];
        var term = Term(left).TrimStart();
        if (right.TrimEnd('.', ' ', '*') is var power && power.Contains('^', StringComparison.Ordinal) && PlainFormula.IsMatch(power))
        {
            return new(power, IsArithmetic(term, "", out _) && !scope.IsGuess);
        }

        // A unit may stand at the numbers that are calculated with: 12cm + 9cm = 21cm.
        var unit = AttachedUnit.Match(behind).Value;
        var isUnit = unit.Length > 0 && UnitBehindNumber.Matches(left).Any(match => match.Groups["unit"].Value == unit);
        var known = Known(scope.Before + left).Append(number.Digits).ToHashSet();
        var value = NumbersInText.WithUnit(right, number);
        var isOpen =
            !isUnit && NumbersInText.IsCalculatedWith(right, number)
            || scope.IsGuess
            || Doubt.IsAlternative(behind)
            || Doubt.IsRetraction(behind)
            || IsSubject.IsMatch(behind)
            || scope.IsStep
            || Denial.IsIn(behind) && !Described.IsMatch(behind)
            || Numbers(behind).Any(other => !known.Contains(other));
        if (IsArithmetic(term, isUnit ? unit : "", out var start))
        {
            // A calculation that is given as the reason has to come to what is stated before: "6 pieces because 3 x 2 = 6".
            var stated = Numbers(left[..Clauses.ReasonIn(left)]).ToList();
            var isBorneOut = Clauses.ReasonIn(left) == left.Length || stated.Count == 0 || stated.Contains(number.Digits);
            return new(value, !isOpen && isBorneOut && !Denial.IsBefore(term, start));
        }

        if (Named.Match(term) is { Success: true } named)
        {
            var name = named.Groups["name"];
            var others = NamedBefore
                .Matches(left[Math.Min(left.Length, scope.ClauseStart)..])
                .Any(match => match.Groups["name"].Value != name.Value);
            var isAsserted =
                (name.Index == 0 || scope.HasLead)
                && !others
                && EndsThere.IsMatch(behind)
                && !Placed.IsMatch(term[..name.Index])
                && !scope.IsDoubtful(left.Length);
            return new($"{name.Value} = {value}", !isOpen && isAsserted);
        }

        return new(value, !isOpen && Labelled.IsMatch(term) && !scope.IsDoubtful(left.Length));
    }

    static Finding? Emphasized(Scope scope)
    {
        var values = Emphasis
            .Matches(scope.Text)
            .Concat(Inline.Matches(scope.Text))
            .Select(match => (match.Index, Text: match.Groups["value"].Value.Trim('.', ',', ' ')))
            .Where(value =>
                value.Text.Any(char.IsAsciiDigit)
                && Statements.IsAnswer(value.Text)
                && (scope.Text[value.Index] == '*' || !Prices.IsMatch(value.Text))
            )
            .ToList();
        if (values is not [var only])
        {
            return null;
        }

        var lead = scope.Text[..only.Index];
        var isIntroduced = scope.Text[only.Index] == '*' || Introduces.IsMatch(lead);
        return new(only.Text, isIntroduced && !NumbersInText.IsGoverned(lead) && !scope.IsDoubtful(scope.Text.Length));
    }

    /// <summary>The number of a sentence of words that stands out.</summary>
    static Finding? Number(Scope scope)
    {
        var sentence = scope.Text;
        var all = NumbersInText.Find(sentence).ToList();
        if (all.Count == 0)
        {
            return NumbersInText.First(scope.Whole) is { } detail ? new(detail.Text, false) : null;
        }

        var results = Equated
            .Matches(scope.Before + scope.Whole)
            .Select(match => new NumberInText(0, match.Groups["value"].Value).Digits)
            .ToList();
        var known = Known(scope.Before).Except(results).ToHashSet();
        var free = all.Where(number => number.Index >= scope.ClauseStart && !NumbersInText.IsGoverned(sentence[..number.Index]))
            .Reverse()
            .DistinctBy(number => number.Digits)
            .Reverse()
            .ToList();
        var fresh = free.Where(number => !known.Contains(number.Digits)).ToList();
        var main = free.Where(number => !NumbersInText.IsCircumstance(sentence[..number.Index])).ToList();
        var predicates = free.Where(number => NumbersInText.IsPredicate(sentence[..number.Index])).ToList();
        var isPredicate = predicates is [var predicate] && main.Last() == predicate;
        if (
            (
                free is [var only] ? only
                : isPredicate ? predicates[0]
                : fresh is [var one] ? one
                : main is [var sole] ? sole
                : (NumberInText?)null
            )
            is not { } number
        )
        {
            return new(all[^1].Text, false);
        }

        var isResult = results.Contains(number.Digits);
        var standsOut =
            scope.IsStated || scope.HasLead || isResult || Summaries.IsMatch(sentence) || fresh.Count > 0 && Doubt.IsEnglish(scope.Whole);
        var isOpen =
            NumbersInText.IsCalculatedWith(sentence, number)
            || scope.IsDoubtful(sentence.Length)
            || Doubt.IsRetraction(sentence[number.End..])
            || ListItem.IsMatch(sentence)
            || HasFormula(sentence)
            || Doubt.HasNumberWord(scope.Clause) && !isResult
            || !isPredicate && main.Any(other => other != number)
            || Equated.IsMatch(scope.Details) && results[^1] != number.Digits;
        return new(NumbersInText.WithUnit(sentence, number), standsOut && !isOpen);
    }

    /// <summary>The numbers of a text, those of fractions too.</summary>
    static IEnumerable<string> Known(string text) => Numbers(text).SelectMany(number => number.Split('/').Append(number));

    static bool HasFormula(string sentence) =>
        sentence
            .Replace("\\$", "", StringComparison.Ordinal)
            .Replace("\\%", "", StringComparison.Ordinal)
            .AsSpan()
            .ContainsAny(FormulaSigns) || Power.IsMatch(sentence);

    static IEnumerable<string> Numbers(string text) => NumbersInText.Find(text).Select(number => number.Digits);
}

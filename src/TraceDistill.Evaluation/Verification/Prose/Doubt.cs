using System.Text.RegularExpressions;

namespace TraceDistill.Evaluation.Verification.Prose;

/// <summary>Kinds of words that keep a sentence from asserting the value in it.</summary>
/// <remarks>
/// Each kind is broad on purpose: a doubt leaves an answer unverified, which costs one trace, and a doubt that is missed lets a wrong
/// answer pass. English and the commonest words of other languages of the benchmarks.
/// </remarks>
static class Doubt
{
    const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase;

    static readonly Regex Guesses = new(
        @"[?？؟]|\b(?:maybe|perhaps|possibl[ey]|probabl[ey]|presumably|plausibl[ey]|(?:most|very|quite|is|are|seems) likely"
            + @"|likely (?:to|that)|might|guess\w*|seems?|seemed|appears?|apparently"
            + @"|unsure|uncertain|unclear|unknown|not sure|(?:i|we|me)(?: \w+)? (?:think|thought|believe|suspect|say|hope|try)|hypothe\w+"
            + @"|conjecture\w*|suggests?|according to"
            + @"|approximat\w*|about|around|roughly|nearly|almost|close to|estimat\w*|supposed to|or so"
            + @"|vielleicht|wahrscheinlich|vermutlich|könnte\w*|etwa|ungefähr|quizás?|tal vez|podrían?|probablemente|aproximadamente"
            + @"|peut-être|pourrai\w*|probablement"
            + @"|environ|talvez|poderia|forse|potrebbe|probabilmente|может|возможно|наверное|вероятно|примерно|około|może|misschien"
            + @"|ongeveer|kanske|belki)\b"
            + @"|≈|\\approx|可能|也许|或许|大概|大约|かもしれ|おそらく|たぶん|아마|शायद",
        Linear
    );

    static readonly Regex Conditions = new(
        @"\b(?:if|may|could|should|suppos(?:e|ing|es)|assum\w+|let|let's|whether|unless|when|whenever|until|imagine|pretend\w*"
            + @"|test(?:s|ed|ing)?|check(?:s|ed|ing)?|verify\w*|cases?"
            + @"|wenn|falls|angenommen|wäre\w*|würde\w*|si|suponga\w*|supongamos|sería|serait|supposons|se|suponha\w*|seria|supponiamo"
            + @"|sarebbe|если|пусть"
            + @"|допустим|jeśli|gdyby|als|stel)\b|如果|假设|假如|若|もし|ならば|만약|यदि|अगर",
        Linear
    );

    static readonly Regex Comparisons = new(
        @"\b(?:than|at least|at most|up to|no more|near|close|short of|(?:between|above|below|under|over|within|beyond"
            + @"|exceed\w*) \W*\d+|divisible|divides|multiples? of|factors? of|powers? of"
            + @"|range\w*|times (?:as|the|more|that|this|larger|bigger|greater|older|his|her|its|their|what)|mindestens|höchstens"
            + @"|menos|moins|meno|больше|меньше|более"
            + @"|менее)\b|[<>≤≥]|\\[lg]eq?\b|\\[lg]t\b|大于|小于|至少|至多|不到|超过|以上|以下|より",
        Linear
    );

    // Where it all began, what is yet to be done, what someone says, and a number that is calculated with.
    static readonly Regex Reports = new(
        @"\b(?:initial\w*|original\w*|at first|(?:at|in|from) the (?:beginning|start)|start(?:s|ed|ing)?|began|beg[iu]ns?|given"
            + @"|used to|previous\w*|earlier|formerly"
            + @"|recall|remember|note that|thinks?|thought|believes?|hopes?|tr(?:y|ies|ying)|says?|said|claims?|claimed|tells?|told|asks?"
            + @"|asked|states|stated|mention\w*|(?:the|this) (?:question|problem)"
            + @"|next (?:step|we|i)|so far|(?:my|his|her|their|your|the first|the other) (?:\w+ )?(?:answer|guess|solution)"
            + @"|would be (?:the|a|an)"
            + @"|too (?:small"
            + @"|large|big|many|few|high|low|much|long|short)|not enough|answer (?:has|lies|ends|begins|depends|contains)|before (?:she"
            + @"|he|they|it|the|any)|without|excluding|not counting|before tax\w*|(?:both|each|one|other) sides?|(?:need|needs|needed|has"
            + @"|have|had|want|wants|wanted) to (?:find|know|add|subtract|multiply|divide|compute"
            + @"|calculate|solve|check|consider|use)|ran out|run out|multiply\w*|divid(?:e|ed|ing)|subtract\w*|adding|plug\w*"
            + @"|substitut\w*|comput\w*|consider\w*"
            + @"|twice|doubl\w+|half|tripl\w+|thrice|quarter|third|square(?:d| of| root)|cubed|round(?:ed|s to|ing)|out of \d+|negative"
            + @"|minus|\d+ remainder|and a remainder|plus)\b|^\W*next\b",
        Linear
    );

    // The first person mostly works; these verbs conclude.
    static readonly Regex FirstPerson = new(@"\b(?:we|i|you|us|me)\b", Linear);

    static readonly Regex Concluding = new(
        @"\b(?:we|i)(?: (?:now|then|finally|therefore|thus|also|simply|can|must|will|do|see that|find that|conclude that|know that))*"
            + @" (?:get|got|find|found|obtain|obtained|conclude|arrive at|reach|are left with|end "
            + @"up with|calculate|deduce|derive|determine)\b|\b(?:gives|leaves|tells|leads) us\b",
        Linear
    );

    static readonly Regex Retractions = new(
        @"\b(?:wait|hmm+|hm|oops|actually|but|however|although|though|instead|rather|wrong\w*|incorrect\w*|mistak\w*|mistook"
            + @"|errors?|erroneous\w*|forgot\w*"
            + @"|overlook\w*|miscount\w*|miscalculat\w*|misread|recheck\w*|reconsider\w*|redo|recomput\w*|recalculat\w*|try again|sorry"
            + @"|apolog\w*|contradict\w*"
            + @"|impossible|invalid|false|fails?|failed|unless|except\w*|otherwise|correction|corrected|revis\w*|doubt\w*|confus\w*|trap"
            + @"|unfortunately|too (?:small|large|big|many|few|high|low|much)|not enough|insufficient"
            + @"|aber|jedoch|falsch|doch|pero|sin embargo|incorrecto|cependant|faux|mas|porém|errado|però|sbagliato|но|однако|неверно"
            + @"|ошибка|błąd)\b"
            + @"|^\W*no\b|但|然而|错|不对|しかし|でも|間違|하지만|그러나|틀",
        Linear
    );

    static readonly Regex Alternatives = new(@"\b(?:or|either|oder|ou|или|lub)\b|[或]|または|또는", Linear);

    const string Numerals =
        @"(?:zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy"
        + @"|eighty|ninety|hundred|thousand|million|dozen)";

    static readonly Regex NumberWords = new($@"\b{Numerals}\b", Linear);

    static readonly Regex NumbersInWords = new($@"\b(?:{Numerals}|one)(?:[ -](?:and )?(?:{Numerals}|one))*\b", Linear);

    static readonly Regex Fractions = new(@"\b(?:half|halves|thirds?|quarters?|fourths?|fifths?|sixths?|twice|negative|minus)\b", Linear);

    static readonly Regex English = new(
        @"\b(?:the|is|are|was|were|has|have|had|she|they|there|it|of|will|would|total|left|each|with|his|her|their|this|that|only"
            + @"|both|all|can|cannot|do|does|did|not"
            + @"|makes?|made|costs?|takes?|took|needs?|gets?|got|earns?|spends?|spent|pays?|paid|equals?|into|from|after|by|gives?|buys?"
            + @"|bought|sells?|sold|eats?|ate|reads?)\b",
        Linear
    );

    // The five bags, all three friends, for two days: known ones.
    static readonly Regex Determined = new(
        $@"\b(?:the|all|both|these|those|his|her|their|its|our|first|last|next|other|with|in|for|after|every|of|a) {Numerals}\b",
        Linear
    );

    /// <summary>Returns whether a text asks, guesses or estimates.</summary>
    public static bool IsGuess(string text) => Guesses.IsMatch(text);

    /// <summary>Returns whether a text supposes something or holds for a case of several.</summary>
    public static bool IsConditional(string text) => Conditions.IsMatch(text);

    /// <summary>Returns whether a text has words that make a number beside them a bound or a difference.</summary>
    public static bool IsComparison(string text) => Comparisons.IsMatch(text);

    /// <summary>Returns whether a text leaves a choice.</summary>
    public static bool IsAlternative(string text) => Alternatives.IsMatch(text);

    /// <summary>Returns whether a text takes back what stands before it.</summary>
    public static bool IsRetraction(string text) => Retractions.IsMatch(text);

    /// <summary>The numbers in words of a text.</summary>
    public static IEnumerable<string> NumberWordsIn(string text) => NumbersInWords.Matches(text).Select(match => match.Value);

    /// <summary>
    /// Returns whether a text may have numbers that are not understood: fractions in words, or any in another language than English.
    /// </summary>
    public static bool MayHideNumbers(string text) => Fractions.IsMatch(text) || text.Any(char.IsLetter) && !English.IsMatch(text);

    /// <summary>Returns whether a text is in English, as far as its small words tell.</summary>
    public static bool IsEnglish(string text) => English.IsMatch(text);

    /// <summary>
    /// Returns whether a text has a number in words, which may be another answer than the digits elsewhere. "One" counts nothing.
    /// </summary>
    public static bool HasNumberWord(string text) => NumberWords.Count(text) > Determined.Count(text);

    /// <summary>Returns whether a sentence of plain words does anything else than assert a result.</summary>
    public static bool IsIn(string sentence) =>
        IsGuess(sentence)
        || IsConditional(sentence)
        || IsComparison(sentence)
        || IsAlternative(sentence)
        || Denial.IsIn(sentence)
        || Reports.IsMatch(sentence)
        || FirstPerson.IsMatch(sentence) && !Concluding.IsMatch(sentence);
}

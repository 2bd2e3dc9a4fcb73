using System.Collections.Frozen;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>Names of LaTeX commands, functions and symbols by what the lexer makes of them.</summary>
static class LatexNames
{
    /// <summary>Commands that are one sign each, and that sign.</summary>
    public static FrozenDictionary<string, string> Symbols { get; } =
        new Dictionary<string, string>
        {
            ["cdot"] = "*",
            ["times"] = "*",
            ["ast"] = "*",
            ["div"] = "/",
            ["pm"] = "±",
            ["mp"] = "∓",
            ["le"] = "<=",
            ["leq"] = "<=",
            ["leqslant"] = "<=",
            ["ge"] = ">=",
            ["geq"] = ">=",
            ["geqslant"] = ">=",
            ["lt"] = "<",
            ["gt"] = ">",
            ["ne"] = "!=",
            ["neq"] = "!=",
            ["in"] = "∈",
            ["cup"] = "∪",
            ["cap"] = "∩",
            ["setminus"] = "∖",
            ["backslash"] = "∖",
            ["approx"] = "≈",
            ["simeq"] = "≈",
            ["equiv"] = "≡",
            ["{"] = "\\{",
            ["}"] = "\\}",
            ["lbrace"] = "\\{",
            ["rbrace"] = "\\}",
            ["lvert"] = "|",
            ["rvert"] = "|",
            ["vert"] = "|",
            ["mid"] = "mid",
            ["|"] = "‖",
            ["lVert"] = "‖",
            ["rVert"] = "‖",
            ["langle"] = "⟨",
            ["rangle"] = "⟩",
            ["lfloor"] = "⌊",
            ["rfloor"] = "⌋",
            ["lceil"] = "⌈",
            ["rceil"] = "⌉",
            ["circ"] = "°",
            ["degree"] = "°",
            ["%"] = "%",
            ["\\"] = "\\\\",
            ["&"] = "&",
            ["colon"] = ":",
            ["prime"] = "'",
            ["lbrack"] = "[",
            ["rbrack"] = "]",
            ["land"] = "and",
            ["wedge"] = "and",
            ["lor"] = "or",
            ["vee"] = "or",
            ["ldots"] = "…",
            ["dots"] = "…",
            ["cdots"] = "…",
        }.ToFrozenDictionary();

    /// <summary>Commands that dress a formula: they are passed over.</summary>
    public static FrozenSet<string> Dropped { get; } =
        new[]
        {
            "left",
            "right",
            "big",
            "Big",
            "bigg",
            "Bigg",
            "bigl",
            "bigr",
            "Bigl",
            "Bigr",
            "biggl",
            "biggr",
            "Biggl",
            "Biggr",
            "middle",
            "displaystyle",
            "textstyle",
            "scriptstyle",
            "limits",
            "!",
            "mathstrut",
            "strut",
            "hfill",
            "bf",
            "rm",
            "it",
            "boldsymbol",
            "bm",
            "allowbreak",
        }.ToFrozenSet();

    /// <summary>Commands that are white space.</summary>
    public static FrozenSet<string> Spaces { get; } =
        new[] { ",", ";", ":", " ", "quad", "qquad", ">", "enspace", "thinspace", "\n", "newline" }.ToFrozenSet();

    /// <summary>Commands that set their argument in another font.</summary>
    public static FrozenSet<string> Fonts { get; } =
        new[]
        {
            "mathrm",
            "mathbf",
            "mathit",
            "mathsf",
            "mathcal",
            "mathbb",
            "operatorname",
            "operatorname*",
            "mathscr",
            "mathfrak",
        }.ToFrozenSet();

    /// <summary>Commands whose argument is text.</summary>
    public static FrozenSet<string> Texts { get; } =
        new[] { "text", "textbf", "textit", "textrm", "textsf", "texttt", "mbox", "textnormal", "emph", "hbox", "underline" }.ToFrozenSet();

    /// <summary>Commands that the parser reads with their arguments.</summary>
    public static FrozenSet<string> WithArguments { get; } =
        new[] { "frac", "dfrac", "tfrac", "cfrac", "binom", "dbinom", "tbinom", "overline", "pmod", "bmod", "mod", "pod" }.ToFrozenSet();

    /// <summary>Names of functions, with a backslash and without.</summary>
    public static FrozenSet<string> Functions { get; } =
        new[]
        {
            "sin",
            "cos",
            "tan",
            "cot",
            "sec",
            "csc",
            "arcsin",
            "arccos",
            "arctan",
            "sinh",
            "cosh",
            "tanh",
            "ln",
            "log",
            "exp",
            "sqrt",
            "abs",
            "min",
            "max",
            "floor",
            "ceil",
            "lg",
            "asin",
            "acos",
            "atan",
            "gcd",
            "lcm",
            "det",
            "cbrt",
        }.ToFrozenSet();

    /// <summary>Names of symbols that plain text spells out.</summary>
    public static FrozenSet<string> Names { get; } =
        new[]
        {
            "pi",
            "infinity",
            "infty",
            "inf",
            "oo",
            "alpha",
            "beta",
            "gamma",
            "delta",
            "theta",
            "lambda",
            "sigma",
            "omega",
            "epsilon",
            "phi",
            "psi",
            "rho",
            "tau",
        }.ToFrozenSet();
}

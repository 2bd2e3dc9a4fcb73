using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.PreTokenizers;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>
/// llama.cpp has its ways of cutting text built in, each under names
/// (<c>tokenizer.ggml.pre</c>); this finds the one that cuts as a tokenizer.json does.
/// </summary>
static class PreTokenizerNames
{
    const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    const string Contractions = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+";
    const string Rest = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    static readonly (string[] Patterns, bool IgnoreMerges, string Name)[] Known =
    [
        ([Gpt2], false, "gpt-2"),
        ([@"\p{N}", Gpt2], false, "smollm"),
        ([Contractions + @"|\p{N}" + Rest], false, "qwen2"),
        ([Contractions + @"|\p{N}{1,3}" + Rest], true, "llama-bpe"),
        ([Contractions + @"|\p{N}{1,3}" + Rest], false, "smaug-bpe"),
    ];

    /// <param name="tokenizer">A byte-level one.</param>
    /// <param name="file">Its name in error messages.</param>
    /// <exception cref="InvalidInputException">llama.cpp cuts text in no such way.</exception>
    public static string Of(TokenizerListing tokenizer, string file) => Find(tokenizer, file).Name;

    /// <summary>Returns whether llama.cpp, under that name, takes a piece that is in the vocabulary whole.</summary>
    public static bool IgnoresMerges(TokenizerListing tokenizer, string file) => Find(tokenizer, file).IgnoreMerges;

    static (string Name, bool IgnoreMerges) Find(TokenizerListing tokenizer, string file)
    {
        var patterns = tokenizer.Splits.Where(IsIsolating).Select(rule => rule.Pattern).ToArray();
        var same = Known
            .Where(known =>
                !tokenizer.AddPrefixSpace && patterns.Length == tokenizer.Splits.Count && known.Patterns.SequenceEqual(patterns)
            )
            .ToList();
        return same.Count == 0
            ? throw new InvalidInputException(
                $"{file}: pre_tokenizer: llama.cpp has no name for this way of cutting text, so GGUF cannot hold it; "
                    + "known are those of GPT-2, SmolLM, Llama 3 and Qwen 2. Export to huggingface"
            )
            : same.OrderBy(known => known.IgnoreMerges != tokenizer.IgnoreMerges).Select(known => (known.Name, known.IgnoreMerges)).First();
    }

    /// <summary>Matches that are pieces and leave nothing between them: cutting there is the same as dropping what lies between.</summary>
    static bool IsIsolating(SplitRule rule) =>
        (rule.Behavior, rule.IsInverted) is (SplitBehavior.Isolated, false) or (SplitBehavior.Removed, true);
}

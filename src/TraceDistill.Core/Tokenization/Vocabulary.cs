using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Tokenization;

/// <summary>Whether ids mean the same to two models, which is what soft targets over ids rest on.</summary>
public static class Vocabulary
{
    /// <summary>The first id that means different things to two tokenizers, in words; null when every id means the same.</summary>
    /// <remarks>
    /// Merges are compared last: with the same tokens but other merges, ids mean the same and yet text is cut differently.
    /// </remarks>
    public static string? FirstDifference(Tokenizer one, Tokenizer other)
    {
        if (one.Hash == other.Hash)
            return null;
        for (var id = 0; id < Math.Max(one.VocabularySize, other.VocabularySize); id++)
        {
            if (!one.GetBytes(id).SequenceEqual(other.GetBytes(id)))
                return $"id {id} is {Describe(one, id)} in one and {Describe(other, id)} in the other";
        }

        return "the tokens are the same but their merges differ";
    }

    /// <summary>
    /// Checks that a model's rows of logits cover a tokenizer. There may be more rows than ids (models pad their vocabulary: 152,064 rows for
    /// 151,936 ids); the rest never names a token.
    /// </summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="rows">Rows of the model's embedding and output layer (<c>vocab_size</c> in config.json).</param>
    /// <param name="model">What a message calls the model.</param>
    /// <exception cref="InvalidInputException">The model has too few rows.</exception>
    public static void RequireRows(Tokenizer tokenizer, int rows, string model)
    {
        if (rows < tokenizer.VocabularySize)
        {
            throw new InvalidInputException(
                $"{model}: vocab_size {rows} is less than the tokenizer's {tokenizer.VocabularySize} ids; use the model's own tokenizer");
        }
    }

    static string Describe(Tokenizer tokenizer, int id) =>
        tokenizer.GetBytes(id).IsEmpty ? "no token" : $"\"{ByteLevelAlphabet.Spell(tokenizer.GetBytes(id))}\"";
}

namespace TraceDistill.Text.Errors;

/// <summary>A tokenizer.json that is well-formed but not of a kind that is read here; Hugging Face's tokenizers may read it.</summary>
sealed class UnsupportedTokenizerException(string message) : InvalidInputException(message);

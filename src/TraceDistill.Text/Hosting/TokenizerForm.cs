namespace TraceDistill.Text.Hosting;

/// <summary>
/// Ways of reading one tokenizer.json: the library always adds special tokens and never decodes them, so the file says what is to be done.
/// </summary>
enum TokenizerForm : byte
{
    /// <summary>Special tokens are added around a text, and left out of decoded text.</summary>
    Published,

    /// <summary>No tokens are added, and all are decoded.</summary>
    Plain,

    /// <summary>As <see cref="Plain"/>, for text that stands within another: nothing is put before it.</summary>
    Within,
}

namespace TraceDistill.Models.Export;

/// <summary>Source of an export: a model directory, alone or with an adapter merged into it.</summary>
/// <param name="Model">In Hugging Face layout.</param>
/// <param name="Adapter">Folder of an adapter in PEFT's layout; null for none.</param>
public sealed record ExportSource(string Model, string? Adapter = null)
{
    /// <summary>Where the tokenizer lies: an adapter may bring the one that it was trained with, chat template included.</summary>
    internal string Tokenizer =>
        Adapter is not null && HasFile(Text.Tokenizers.Tokenizer.FileName) && HasFile(Text.Tokenizers.Tokenizer.SettingsFileName)
            ? Adapter
            : Model;

    bool HasFile(string name) => File.Exists(Path.Combine(Adapter!, name));
}

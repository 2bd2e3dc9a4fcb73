namespace TraceDistill.Data.Prompts;

/// <summary>A prompt directory as it lies on disk, not yet rendered.</summary>
/// <param name="Name"><c>Plugin/Function</c>, the last two folders of its path.</param>
/// <param name="TemplatePath">Its <c>skprompt.txt</c>.</param>
/// <param name="Template">The text of that file.</param>
/// <param name="ConfigPath">Its <c>config.json</c>.</param>
/// <param name="Config">The text of that file.</param>
public sealed record PromptSource(string Name, string TemplatePath, string Template, string ConfigPath, string Config)
{
    /// <summary>The folder that both lie in.</summary>
    public string Folder => Path.GetDirectoryName(TemplatePath)!;
}

namespace TraceDistill.Cli.Recipes;

/// <summary>Finds files that a recipe names and no stage makes.</summary>
static class OutsidePath
{
    /// <summary>
    /// Looks from the current directory, then from the recipe's folder and the folders above
    /// it, so that a recipe of a checkout works from anywhere.
    /// </summary>
    /// <returns>The full path, or null.</returns>
    public static string? Find(string path, string recipePath) =>
        Folders(recipePath).Select(folder => Path.GetFullPath(path, folder)).FirstOrDefault(Path.Exists);

    static IEnumerable<string> Folders(string recipePath)
    {
        yield return Environment.CurrentDirectory;
        for (var folder = Path.GetDirectoryName(Path.GetFullPath(recipePath)); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            yield return folder;
        }
    }
}

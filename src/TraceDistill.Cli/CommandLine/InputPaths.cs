using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Commands;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.CommandLine;

/// <summary>Looks whether the files that a command is to read exist, before it starts.</summary>
static class InputPaths
{
    /// <param name="optionsType">The options record.</param>
    /// <param name="settings">Its settings.</param>
    /// <param name="problems">Gets what is missing.</param>
    /// <param name="within">Prefix of the keys of a map within the settings, such as <c>traces[0].</c></param>
    public static void Check(Type optionsType, ConfigMap settings, ProblemList problems, string within = "")
    {
        foreach (var entry in settings.Entries)
        {
            if (OptionSchema.Of(optionsType)[entry.Key] is not { } property)
            {
                continue;
            }

            if (property.IsInputPath(settings))
            {
                Check(property, entry.Value, within + entry.Key, problems);
            }
            else if (entry.Value is ConfigMap map && OptionShape.IsRecord(property.Type))
            {
                Check(property.Type, map, problems, $"{within}{entry.Key}.");
            }
            else if (entry.Value is ConfigMap named && OptionShape.DictionaryRecord(property.Type) is { } type)
            {
                foreach (var item in named.Entries)
                {
                    if (item.Value is ConfigMap record)
                    {
                        Check(type, record, problems, $"{within}{entry.Key}.{item.Key}.");
                    }
                }
            }
        }
    }

    static void Check(OptionProperty property, ConfigNode node, string key, ProblemList problems)
    {
        switch (node)
        {
            case ConfigMap named when OptionShape.DictionaryValue(property.Type) is not null:
                foreach (var item in named.Entries)
                {
                    Check(item.Value, $"{key}.{item.Key}", problems);
                }

                break;
            case ConfigScalar when OptionShape.DictionaryValue(property.Type) is not null:
                // No map, which binding says.
                break;
            case ConfigMap map when OptionShape.ListItem(property.Type) is { } type && OptionShape.IsRecord(type):
                Check(type, map, problems, $"{key}."); // a list of one
                break;
            case ConfigList list:
                foreach (var (index, item) in list.Items.Index())
                {
                    if (item is ConfigMap map && OptionShape.ListItem(property.Type) is { } type)
                    {
                        Check(type, map, problems, $"{key}[{index}].");
                    }
                    else
                    {
                        Check(item, key, problems);
                    }
                }

                break;
            case ConfigScalar { Text: { } text } when OptionShape.ListItem(property.Type) is not null:
                foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
                {
                    Check(new ConfigScalar(node.Location, part), key, problems);
                }

                break;
            default:
                Check(node, key, problems);
                break;
        }
    }

    static void Check(ConfigNode node, string key, ProblemList problems)
    {
        if (node is not ConfigScalar { Text: { } text })
        {
            return;
        }

        if (InputFile.Fault(text) is { } fault)
        {
            problems.Add(node.Location, key, $"\"{text}\" {fault}");
        }
        else if (!Path.Exists(text))
        {
            problems.Add(node.Location, key, $"no such file or folder: \"{text}\"{Hint(text)}");
        }
    }

    /// <summary>
    /// On the command line a stage of a run is known by its folder; the run that was written to last is most likely meant.
    /// </summary>
    static string Hint(string text) =>
        Directory.Exists(RunVerb.DefaultRoot)
        && Directory
            .EnumerateDirectories(RunVerb.DefaultRoot)
            .OrderByDescending(Directory.GetLastWriteTimeUtc)
            .Select(run => Path.Combine(run, text))
            .FirstOrDefault(Path.Exists)
            is { } found
            ? $"; did you mean \"{found}\"?"
            : "";
}

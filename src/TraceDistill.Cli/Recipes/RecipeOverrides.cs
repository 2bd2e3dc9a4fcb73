using TraceDistill.Cli.Binding;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>Puts <c>--set</c> values into a recipe, as if they had been written there.</summary>
static class RecipeOverrides
{
    static readonly string[] TopLevel = ["seed", "name", "jobs"];

    public static ConfigMap Apply(ConfigMap root, IReadOnlyList<string> overrides, ProblemList problems)
    {
        foreach (var text in overrides)
        {
            var option = new SourceLocation($"--set {text}");
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                problems.Add(option, "", "expected NAME=VALUE or STAGE.KEY=VALUE");
                continue;
            }

            var key = text[..equals].Split('.');
            var value = YamlConfig.ParseValue(text[(equals + 1)..], option.Source);
            root = key switch
            {
                [var name] when TopLevel.Contains(name) => With(root, key, value),
                [_] => WithKnown(root, "parameters", key, value, problems),
                _ => WithKnown(root, "stages", key, value, problems),
            };
        }

        return root;
    }

    static ConfigMap WithKnown(ConfigMap root, string section, string[] key, ConfigNode value, ProblemList problems)
    {
        var known = (root[section] as ConfigMap)?.Entries.Select(entry => entry.Key).ToList() ?? [];
        if (known.Contains(key[0]))
        {
            return With(root, [section, .. key], value);
        }

        problems.Add(value.Location, "", $"the recipe has no \"{key[0]}\" under {section}; {NearestName.Suggestion(key[0], known)}");
        return root;
    }

    static ConfigMap With(ConfigMap map, ReadOnlySpan<string> path, ConfigNode value)
    {
        var key = path[0];
        var node = path.Length == 1 ? value : With(map[key] as ConfigMap ?? new ConfigMap(value.Location, []), path[1..], value);
        return map.MergedWith(new ConfigMap(value.Location, [new ConfigEntry(key, value.Location, node)]));
    }
}

using TraceDistill.Cli.Binding;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace TraceDistill.Cli.Recipes;

/// <summary>
/// Writes a plan as a recipe again, with nothing left to work out: no parameters, <c>like</c> or <c>matrix</c>, full paths, every seed.
/// </summary>
static class ResolvedRecipe
{
    public static string ToYaml(RunPlan plan)
    {
        var root = new YamlMappingNode { { "name", plan.Name } };
        if (plan.Jobs is { } jobs)
        {
            root.Add("jobs", jobs.ToString());
        }

        root.Add(
            "stages",
            new YamlMappingNode(plan.Stages.Select(stage => KeyValuePair.Create<YamlNode, YamlNode>(stage.Name, Stage(stage))))
        );
        return Text(root);
    }

    /// <summary>The options of one stage as a file that the command of its verb reads.</summary>
    public static string ToYaml(ConfigMap options) => Text(Node(options));

    static string Text(YamlNode root)
    {
        using var text = new StringWriter { NewLine = "\n" };
        new YamlStream(new YamlDocument(root)).Save(text, assignAnchors: false);
        return text.ToString().Replace("\n...\n", "\n");
    }

    static YamlMappingNode Stage(PlannedStage stage)
    {
        var map = new YamlMappingNode { { StageDefinition.VerbKey, stage.Verb.Name } };
        foreach (var entry in stage.Settings.Entries)
        {
            map.Add(entry.Key, Node(entry.Value));
        }

        return map;
    }

    static YamlNode Node(ConfigNode node) =>
        node switch
        {
            ConfigMap map => new YamlMappingNode(
                map.Entries.Select(entry => KeyValuePair.Create<YamlNode, YamlNode>(entry.Key, Node(entry.Value)))
            ),
            ConfigList list => new YamlSequenceNode(list.Items.Select(Node)),
            ConfigScalar { Text: { } text } scalar => new YamlScalarNode(text)
            {
                Style = scalar.IsQuoted || text is "" or "~" or "null" ? ScalarStyle.DoubleQuoted : ScalarStyle.Any,
            },
            _ => new YamlScalarNode("null") { Style = ScalarStyle.Plain },
        };
}

using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>Looks at what a stage is about to read.</summary>
static class InputRecords
{
    /// <param name="earlier">Files that the stage read last time: those that have not been touched since are not read again.</param>
    /// <exception cref="InvalidInputException">A stage did not make the file that is expected from it.</exception>
    public static IReadOnlyList<InputRecord> Of(PlannedStage stage, string runDirectory, IReadOnlyList<InputRecord>? earlier)
    {
        var named = stage.Inputs.Select(input => Of(input, runDirectory, earlier));
        var others = stage
            .DependsOn.Where(name => stage.Inputs.All(input => input.Stage != name))
            .Select(name => Of(new StageInput("", name, "", default), runDirectory, earlier));
        return
        [
            .. named
                .Concat(others)
                .OrderBy(record => record.Key, StringComparer.Ordinal)
                .ThenBy(record => record.Reference, StringComparer.Ordinal),
        ];
    }

    static InputRecord Of(StageInput input, string runDirectory, IReadOnlyList<InputRecord>? earlier)
    {
        if (input.Stage is null)
        {
            var known = earlier?.FirstOrDefault(record => record.Reference == input.Reference)?.Files;
            var files = ContentDigest.Of(input.Path, known);
            return new InputRecord(input.Key, input.Reference, ContentDigest.Combine(files), files);
        }

        var maker = StageManifest.Read(Path.Combine(runDirectory, input.Stage))
            ?? throw new InvalidInputException($"the stage \"{input.Stage}\" that it reads is not finished; run it first");
        var outputs = maker
            .Outputs.Where(file =>
                input.Path.Length == 0 || file.Name == input.Path || file.Name.StartsWith(input.Path + "/", StringComparison.Ordinal)
            )
            .ToList();
        if (outputs.Count == 0 && input.Path.Length > 0)
        {
            throw new InvalidInputException(
                $"{input.Key}: the stage \"{input.Stage}\" made no \"{input.Path}\"; "
                    + $"it made {string.Join(", ", maker.Outputs.Select(file => file.Name).Take(20))}"
            );
        }

        return new InputRecord(input.Key, input.Reference, ContentDigest.Combine(outputs), []);
    }
}

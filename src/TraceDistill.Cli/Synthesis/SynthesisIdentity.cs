using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Cli.Recipes;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Synthesis;

/// <summary>The settings that the rounds of a search follow from.</summary>
static class SynthesisIdentity
{
    /// <summary>Rounds follow from each other, so that they are of no use under other settings.</summary>
    /// <exception cref="InvalidInputException">The folder holds rounds of other settings.</exception>
    public static void EnsureSame(SynthesizeOptions options, SynthesisFolder folder)
    {
        var settings = JsonSerializer.Serialize(
            new
            {
                Student = ContentDigest.Combine(ContentDigest.Of(options.Student)),
                options.Count,
                options.Rounds,
                Candidates = options.ResolveCandidates(),
                options.Disagreement,
                options.MinDisagreement,
                Families = options.SearchedFamilies,
                options.Levels,
                options.Exploration,
                options.InventPrompt,
                options.InventExamples,
                options.SamplesPerProblem,
                options.MinAgreement,
                options.Seed,
                Files = options
                    .HeldOut.Append(options.Problems)
                    .OfType<string>()
                    .Select(path => ContentDigest.Combine(ContentDigest.Of(path))),
            },
            JsonFile.Line
        );
        var digest = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(settings)));
        if (File.Exists(folder.Settings) && JsonFile.Read<string>(folder.Settings) != digest)
        {
            throw new InvalidInputException(
                $"{folder.Output}: holds rounds of a search with other settings, another student or other files, from which these do not "
                    + "follow; name another folder with --out, or delete it"
            );
        }

        JsonFile.Write(folder.Settings, digest);
    }
}

using System.Text.Json;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Files;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Recipes;

/// <summary>
/// A stage's folder in the run directory. Work goes on in <c>.NAME.partial</c>, under a stable name so that an
/// interrupted stage finds what it has; when it is done, the manifest is written into it last and one rename
/// makes it <c>NAME</c>. Whenever the process is killed, the folder with the plain name is complete or absent.
/// </summary>
sealed class StageFolder(string runDirectory, string name)
{
    const string WorkFile = ".work.json";
    const string OptionsFile = ".options.yaml";

    sealed record Work(string Fingerprint, double Seconds);

    /// <summary>Where the finished stage lies.</summary>
    public string Published { get; } = Path.Combine(runDirectory, name);

    /// <summary>Where the stage writes.</summary>
    public string Partial { get; } = Path.Combine(runDirectory, $".{name}.partial");

    /// <summary>Where the options of a stage that has a process of its own stand while it works in <paramref name="partial"/>.</summary>
    public static string OptionsFileIn(string partial) => Path.Combine(partial, OptionsFile);

    string Replaced => Path.Combine(runDirectory, $".{name}.replaced");

    string WorkPath => Path.Combine(Partial, WorkFile);

    /// <summary>
    /// Finishes what a killed process left half done: a complete working folder is published, a replaced one removed.
    /// </summary>
    public void Recover()
    {
        if (StageManifest.Read(Partial) is not null)
        {
            Exchange();
        }
        else if (Directory.Exists(Replaced))
        {
            Directory.Delete(Replaced, recursive: true);
        }
    }

    /// <summary>Makes the working folder ready: as it was left where that can be gone on from, else empty.</summary>
    /// <returns>The seconds already spent on it; null where it starts afresh.</returns>
    public double? Begin(string fingerprint, IVerb verb)
    {
        var work = ReadWork();
        if (verb.IsResumable && work?.Fingerprint == fingerprint)
        {
            return work.Seconds;
        }

        if (verb.KeepsEarlierWork && Directory.Exists(Partial))
        {
            RecordWork(fingerprint, work?.Seconds ?? 0);
            return work?.Seconds ?? 0;
        }

        if (Directory.Exists(Partial))
        {
            Directory.Delete(Partial, recursive: true);
        }

        Directory.CreateDirectory(Partial);
        RecordWork(fingerprint, 0);
        return null;
    }

    /// <summary>Notes the time spent so far, for the attempt that goes on from here.</summary>
    public void RecordWork(string fingerprint, double seconds) => JsonFile.Write(WorkPath, new Work(fingerprint, seconds));

    /// <summary>Removes a working folder in which nothing was begun.</summary>
    public void DeleteIfUntouched()
    {
        var there = Directory.EnumerateFileSystemEntries(Partial).Select(path => Path.GetFileName(path));
        if (there.All(name => name is WorkFile or OptionsFile or FolderLock.FileName))
        {
            Directory.Delete(Partial, recursive: true);
        }
    }

    /// <summary>Makes the working folder the finished stage, in the place of an older one.</summary>
    public void Publish(StageManifest manifest)
    {
        foreach (var leftover in Directory.EnumerateFiles(Partial, "*" + AtomicFile.TemporarySuffix, SearchOption.AllDirectories))
        {
            File.Delete(leftover);
        }

        manifest.Write(Partial);
        Exchange();
    }

    void Exchange()
    {
        File.Delete(WorkPath);
        File.Delete(OptionsFileIn(Partial));
        if (Directory.Exists(Replaced))
        {
            Directory.Delete(Replaced, recursive: true);
        }

        if (Directory.Exists(Published))
        {
            Directory.Move(Published, Replaced);
        }

        DirectorySync.MoveFolder(Partial, Published);
        if (Directory.Exists(Replaced))
        {
            Directory.Delete(Replaced, recursive: true);
        }
    }

    /// <summary>Reads the note of the work so far. One that cannot be read holds nothing to resume.</summary>
    Work? ReadWork()
    {
        try
        {
            return File.Exists(WorkPath) ? JsonFile.Read<Work>(WorkPath) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

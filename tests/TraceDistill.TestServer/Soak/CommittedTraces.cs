using Microsoft.Data.Sqlite;
using TraceDistill.Data.Shards;

namespace TraceDistill.TestServer.Soak;

/// <summary>
/// Looks into an output folder as any program could: SQLite on a copy of the journal, so that nothing is changed or repaired.
/// </summary>
static class CommittedTraces
{
    const int IdLength = 16;

    /// <summary>Ids of the traces that no later process may ask for again.</summary>
    public static async Task<HashSet<string>> InAsync(string directory, CancellationToken cancellationToken)
    {
        var ids = new HashSet<string>();
        if (!Directory.Exists(directory))
        {
            return ids;
        }

        if (ShardManifest.Load(directory) is not null)
        {
            var reader = await ShardReader.OpenAsync(directory, new ShardReaderOptions { SoftTargets = false }, cancellationToken);
            ids.UnionWith(await reader.ReadAsync(cancellationToken).Select(trace => trace.Id).ToListAsync(cancellationToken));
        }

        foreach (var journal in Directory.EnumerateFiles(directory, "journal*.db"))
        {
            ids.UnionWith(JournalIds(journal));
        }

        return ids;
    }

    static List<string> JournalIds(string journal)
    {
        var copy = Directory.CreateTempSubdirectory("tracedistill-soak-");
        try
        {
            foreach (var suffix in (string[])["", "-wal"])
            {
                if (File.Exists(journal + suffix))
                {
                    File.Copy(journal + suffix, Path.Combine(copy.FullName, "copy.db" + suffix));
                }
            }

            return Ids(Path.Combine(copy.FullName, "copy.db"));
        }
        finally
        {
            copy.Delete(recursive: true);
        }
    }

    /// <summary>Those of rows, and those of shards that the journal knows.</summary>
    static List<string> Ids(string database)
    {
        using var connection = new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = database, Pooling = false }.ToString()
        );
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT count(*) FROM sqlite_master WHERE name IN ('traces', 'shards')";
        if ((long)command.ExecuteScalar()! < 2)
        {
            return [];
        }

        command.CommandText = "SELECT id FROM traces UNION ALL SELECT keys FROM shards";
        using var rows = command.ExecuteReader();
        var ids = new List<string>();
        while (rows.Read())
        {
            ids.AddRange(((byte[])rows.GetValue(0)).Chunk(IdLength).Select(Convert.ToHexStringLower));
        }

        return ids;
    }
}

using System.Text.Json;
using Microsoft.Data.Sqlite;
using TraceDistill.Core.Storage;

namespace TraceDistill.Teachers.Journal;

/// <summary>The tables of a journal.</summary>
static class JournalSchema
{
    const long CurrentVersion = 2;

    /// <summary>Makes the tables where they are not there, and brings those of earlier versions up to date in one transaction.</summary>
    /// <returns>Whether an earlier version wrote the journal.</returns>
    public static bool Prepare(SqliteConnection connection)
    {
        var isFirst = false;
        using var transaction = connection.BeginTransaction();
        if (Scalar(connection, "PRAGMA user_version") is not CurrentVersion)
        {
            // The first version had the ids as text and no shards.
            isFirst = Scalar(connection, "SELECT count(*) FROM sqlite_master WHERE name = 'traces'") is 1L;
            Execute(
                connection,
                $"""
                CREATE TABLE IF NOT EXISTS dataset (json TEXT NOT NULL);
                {(isFirst ? "ALTER TABLE traces RENAME TO traces_1;" : "")}
                CREATE TABLE traces (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, trace BLOB NOT NULL);
                CREATE TABLE shards (
                    number INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL, published TEXT, rows INTEGER NOT NULL, tokens INTEGER NOT NULL,
                    bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, correct INTEGER NOT NULL, length INTEGER NOT NULL, refusal INTEGER NOT NULL,
                    empty INTEGER NOT NULL, keys BLOB NOT NULL);
                {(isFirst ? "INSERT INTO traces SELECT number, unhex(id), trace FROM traces_1; DROP TABLE traces_1;" : "")}
                PRAGMA user_version = {CurrentVersion};
                """);
        }

        transaction.Commit();
        return isFirst;
    }

    /// <summary>What the journal's traces have in common; null where nothing is said yet.</summary>
    public static DatasetDescription? Dataset(SqliteConnection connection) =>
        Scalar(connection, "SELECT json FROM dataset") is string json ? JsonSerializer.Deserialize<DatasetDescription>(json) : null;

    public static void SaveDataset(SqliteConnection connection, DatasetDescription dataset)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "INSERT INTO dataset VALUES ($json)";
        command.Parameters.AddWithValue("$json", JsonSerializer.Serialize(dataset));
        command.ExecuteNonQuery();
    }

    public static object? Scalar(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    public static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}

using System.Text.Json;
using Microsoft.Data.Sqlite;

namespace TraceDistill.Teachers.Journal;

/// <summary>The tables of a journal.</summary>
static class JournalSchema
{
    const long CurrentVersion = 3;

    /// <summary>The version before, whose shards had no count of unfinished traces.</summary>
    const long VersionWithoutUnfinished = 2;

    /// <summary>Makes the tables where they are not there.</summary>
    /// <exception cref="InvalidDataException">Another version of this program wrote the journal.</exception>
    public static void Prepare(SqliteConnection connection)
    {
        using var transaction = connection.BeginTransaction();
        var version = Scalar(connection, "PRAGMA user_version");
        if (version is not (0L or VersionWithoutUnfinished or CurrentVersion))
        {
            throw new InvalidDataException("was written by another version of this program");
        }

        if (version is VersionWithoutUnfinished)
        {
            Execute(connection, "ALTER TABLE shards ADD COLUMN unfinished INTEGER NOT NULL DEFAULT 0");
        }

        Execute(
            connection,
            $"""
            CREATE TABLE IF NOT EXISTS dataset (json TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS capabilities (json TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS notes (id BLOB PRIMARY KEY, note TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS traces (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, trace BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS shards (
                number INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL, published TEXT,
                rows INTEGER NOT NULL, tokens INTEGER NOT NULL,
                bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, correct INTEGER NOT NULL, length INTEGER NOT NULL, refusal INTEGER NOT NULL,
                empty INTEGER NOT NULL, keys BLOB NOT NULL, unfinished INTEGER NOT NULL DEFAULT 0);
            PRAGMA user_version = {CurrentVersion};
            """
        );
        transaction.Commit();
    }

    /// <summary>Content of a table of one row at most; null where it has none.</summary>
    /// <param name="table">Such as <c>dataset</c>: what the journal's traces have in common.</param>
    public static T? Load<T>(SqliteConnection connection, string table) =>
        Scalar(connection, $"SELECT json FROM {table}") is string json ? JsonSerializer.Deserialize<T>(json) : default;

    /// <summary>Has a table say this and nothing else.</summary>
    public static void Save<T>(SqliteConnection connection, string table, T value)
    {
        using var command = connection.CreateCommand();
        command.CommandText = $"DELETE FROM {table}; INSERT INTO {table} VALUES ($json)";
        command.Parameters.AddWithValue("$json", JsonSerializer.Serialize(value));
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

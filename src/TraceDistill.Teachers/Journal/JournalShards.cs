using Microsoft.Data.Sqlite;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;

namespace TraceDistill.Teachers.Journal;

/// <summary>The table of shards in a journal.</summary>
sealed class JournalShards(SqliteConnection connection)
{
    /// <exception cref="InvalidDataException">The table is damaged.</exception>
    public IReadOnlyList<JournalShard> Read()
    {
        using var command = connection.CreateCommand();
        command.CommandText =
            "SELECT number, file, rows, tokens, bytes, sha256, published, correct, "
            + "length, refusal, empty, keys, unfinished FROM shards ORDER BY number";
        using var rows = command.ExecuteReader();
        var shards = new List<JournalShard>();
        while (rows.Read())
        {
            var entry = new ShardEntry(rows.GetString(1), rows.GetInt64(2), rows.GetInt64(3), rows.GetInt64(4), rows.GetString(5));
            var keys = (byte[])rows.GetValue(11);
            shards.Add(
                keys.Length == entry.Rows * TraceKey.Size
                    ? new JournalShard(
                        rows.GetInt64(0),
                        entry,
                        rows.IsDBNull(6) ? null : rows.GetString(6),
                        new TraceCounts(rows.GetInt64(7), rows.GetInt64(8), rows.GetInt64(9), rows.GetInt64(10), rows.GetInt64(12)),
                        TraceKey.Unpack(keys)
                    )
                    : throw new InvalidDataException($"the keys of {entry.File} in the journal are damaged")
            );
        }

        return shards;
    }

    public long NextNumber() =>
        1 + (JournalSchema.Scalar(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'shards'") as long? ?? 0);

    public void Add(JournalShard shard)
    {
        using var command = connection.CreateCommand();
        command.CommandText = """
            INSERT INTO shards (number, file, rows, tokens, bytes, sha256, published, correct, length, refusal, empty, keys, unfinished)
            VALUES ($number, $file, $rows, $tokens, $bytes, $sha256, $published, $correct, $length, $refusal, $empty, $keys, $unfinished)
            """;
        command.Parameters.AddWithValue("$number", shard.Number);
        command.Parameters.AddWithValue("$file", shard.Entry.File);
        command.Parameters.AddWithValue("$rows", shard.Entry.Rows);
        command.Parameters.AddWithValue("$tokens", shard.Entry.Tokens);
        command.Parameters.AddWithValue("$bytes", shard.Entry.Bytes);
        command.Parameters.AddWithValue("$sha256", shard.Entry.Sha256);
        command.Parameters.AddWithValue("$published", (object?)shard.Published ?? DBNull.Value);
        command.Parameters.AddWithValue("$correct", shard.Counts.Correct);
        command.Parameters.AddWithValue("$length", shard.Counts.Length);
        command.Parameters.AddWithValue("$refusal", shard.Counts.Refusal);
        command.Parameters.AddWithValue("$empty", shard.Counts.Empty);
        command.Parameters.AddWithValue("$unfinished", shard.Counts.Unfinished);
        command.Parameters.AddWithValue("$keys", TraceKey.Pack(shard.Keys));
        command.ExecuteNonQuery();
    }

    public void Clear() => JournalSchema.Execute(connection, "DELETE FROM shards");
}

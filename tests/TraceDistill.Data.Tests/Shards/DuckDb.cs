using DuckDB.NET.Data;

namespace TraceDistill.Data.Tests.Shards;

/// <summary>DuckDB in memory, as an independent reader of Parquet files.</summary>
static class DuckDb
{
    /// <summary>The first column of a query's result, as text.</summary>
    public static List<string> Query(string sql)
    {
        using var connection = new DuckDBConnection("DataSource=:memory:");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        using var reader = command.ExecuteReader();
        var values = new List<string>();
        while (reader.Read())
        {
            values.Add(reader.GetValue(0).ToString()!);
        }

        return values;
    }
}

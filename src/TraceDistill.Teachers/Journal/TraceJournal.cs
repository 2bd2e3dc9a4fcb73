using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Data.Sqlite;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;
using TraceDistill.Core.Traces;

namespace TraceDistill.Teachers.Journal;

/// <summary>
/// The traces collected so far, in a SQLite database beside the shards-to-be. A trace that <see cref="AddAsync"/> has acknowledged survives the
/// loss of the process and of power.
/// </summary>
/// <remarks>One writer gathers what has come up while it was busy into one transaction, so that the disk's latency is paid once for many.</remarks>
sealed class TraceJournal : IAsyncDisposable
{
    public const string FileName = "journal.db";
    const int MostPerTransaction = 256;

    readonly string _path;
    readonly SqliteConnection _connection;
    readonly HashSet<string> _ids = [];
    readonly Channel<Pending> _pending = Channel.CreateUnbounded<Pending>(new UnboundedChannelOptions { SingleReader = true });
    readonly Task _writer;

    TraceJournal(string path, SqliteConnection connection)
    {
        _path = path;
        _connection = connection;
        ReadIds();
        _writer = Task.Run(WriteAsync);
    }

    /// <summary>Ids of the traces that were there when the journal was opened.</summary>
    public IReadOnlySet<string> IdsAtOpening => _ids;

    public static bool ExistsIn(string directory) => File.Exists(Path.Combine(directory, FileName));

    /// <summary>Opens or creates the journal of a folder and keeps other processes out of it.</summary>
    /// <param name="directory">An existing folder.</param>
    /// <param name="dataset">What all its traces have in common; a journal of other traces is refused.</param>
    /// <exception cref="InvalidInputException">The folder cannot be written, is in use, or holds a journal of other traces.</exception>
    public static TraceJournal Open(string directory, DatasetDescription dataset)
    {
        var path = Path.Combine(directory, FileName);
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 1 }.ToString());
        try
        {
            connection.Open();
            // The lock is taken by the first write and held to the end.
            Execute(connection, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
            Execute(connection,
                """
                CREATE TABLE IF NOT EXISTS dataset (json TEXT NOT NULL);
                CREATE TABLE IF NOT EXISTS traces (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, trace BLOB NOT NULL);
                """);
            EnsureSame(connection, path, dataset);
            return new TraceJournal(path, connection);
        }
        catch (SqliteException e)
        {
            connection.Dispose();
            throw JournalFailure.Describe(path, e);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Completes once the trace is on disk. A trace whose id is there already changes nothing.</summary>
    /// <exception cref="InvalidInputException">The disk is full or no longer writable.</exception>
    public Task AddAsync(Trace trace)
    {
        var pending = new Pending(trace.Id, TraceCodec.Encode(trace));
        return _pending.Writer.TryWrite(pending) ? pending.Written.Task : throw new ObjectDisposedException(nameof(TraceJournal));
    }

    /// <summary>Ends writing: from here on the journal is read.</summary>
    public async Task CompleteAsync()
    {
        _pending.Writer.TryComplete();
        await _writer;
    }

    /// <summary>After <see cref="CompleteAsync"/>: all ids in the order in which the traces came.</summary>
    public IReadOnlyList<string> Ids()
    {
        using var command = _connection.CreateCommand();
        command.CommandText = "SELECT id FROM traces ORDER BY number";
        using var rows = command.ExecuteReader();
        var ids = new List<string>();
        while (rows.Read())
        {
            ids.Add(rows.GetString(0));
        }

        return ids;
    }

    /// <summary>After <see cref="CompleteAsync"/>: the trace with this id.</summary>
    /// <exception cref="InvalidInputException">The journal is damaged.</exception>
    public Trace Read(string id)
    {
        using var command = _connection.CreateCommand();
        command.CommandText = "SELECT trace FROM traces WHERE id = $id";
        command.Parameters.AddWithValue("$id", id);
        try
        {
            return TraceCodec.Decode((byte[])command.ExecuteScalar()!);
        }
        catch (SqliteException e)
        {
            throw JournalFailure.Describe(_path, e);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidInputException($"{_path}: {e.Message}; restore it, or delete it and collect its traces again", e);
        }
    }

    /// <summary>Closes the journal; what was acknowledged stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await CompleteAsync();
        await _connection.DisposeAsync();
    }

    /// <summary>Removes a closed journal whose traces are published.</summary>
    public static void Delete(string directory)
    {
        // The log first: without its database it would be applied to the next one of that name.
        foreach (var suffix in (string[])["-wal", "-shm", ""])
        {
            File.Delete(Path.Combine(directory, FileName + suffix));
        }
    }

    async Task WriteAsync()
    {
        var batch = new List<Pending>();
        while (await _pending.Reader.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Count < MostPerTransaction && _pending.Reader.TryRead(out var pending))
            {
                batch.Add(pending);
            }

            try
            {
                Commit(batch);
                batch.ForEach(pending => pending.Written.SetResult());
            }
            catch (SqliteException e)
            {
                var failure = JournalFailure.Describe(_path, e);
                batch.ForEach(pending => pending.Written.SetException(failure));
            }
        }
    }

    void Commit(List<Pending> batch)
    {
        using var transaction = _connection.BeginTransaction();
        using var command = _connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = "INSERT OR IGNORE INTO traces (id, trace) VALUES ($id, $trace)";
        var id = command.Parameters.Add("$id", SqliteType.Text);
        var trace = command.Parameters.Add("$trace", SqliteType.Blob);
        foreach (var pending in batch)
        {
            (id.Value, trace.Value) = (pending.Id, pending.Blob);
            command.ExecuteNonQuery();
        }

        transaction.Commit();
    }

    void ReadIds()
    {
        foreach (var id in Ids())
        {
            _ids.Add(id);
        }
    }

    static void EnsureSame(SqliteConnection connection, string path, DatasetDescription dataset)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "INSERT INTO dataset SELECT $json WHERE NOT EXISTS (SELECT 1 FROM dataset); SELECT json FROM dataset";
        command.Parameters.AddWithValue("$json", JsonSerializer.Serialize(dataset));
        DatasetDifference.Ensure(path, JsonSerializer.Deserialize<DatasetDescription>((string)command.ExecuteScalar()!)!, dataset);
    }

    static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    sealed record Pending(string Id, byte[] Blob)
    {
        public TaskCompletionSource Written { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Data.Sqlite;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Journal;

/// <summary>
/// The traces collected so far and not yet published, in a SQLite database beside the shards-to-be:
/// each as a row of its own until it is moved into a shard that the journal knows. A trace that
/// <see cref="AddAsync"/> has acknowledged survives the loss of the process and of power.
/// </summary>
/// <remarks>
/// One writer gathers what has come up while it was busy into one transaction, so that the disk's latency is paid
/// once for many; who adds faster than the disk writes waits. The connection is used by one thread at a time.
/// </remarks>
sealed class TraceJournal : IAsyncDisposable
{
    const int MostPerTransaction = 256;
    const int MostWaiting = 256;
    const long MostBytesWaiting = 64 << 20;
    const int ReadAtATime = 64;
    const string DatasetTable = "dataset";
    const string CapabilitiesTable = "capabilities";

    readonly string _path;
    readonly SqliteConnection _connection;
    readonly Lock _turn = new();
    readonly JournalShards _shards;
    readonly Channel<Pending> _pending = Channel.CreateBounded<Pending>(new BoundedChannelOptions(MostWaiting) { SingleReader = true });
    readonly SemaphoreSlim _entrance = new(1);
    readonly SemaphoreSlim _written = new(0);
    readonly Task _writer;
    long _bytesWaiting;

    TraceJournal(string path, SqliteConnection connection)
    {
        _path = path;
        _connection = connection;
        _shards = new JournalShards(connection);
        Dataset = JournalSchema.Load<DatasetDescription>(connection, DatasetTable);
        Capabilities = JournalSchema.Load<TeacherCapabilities>(connection, CapabilitiesTable);
        _writer = Task.Run(WriteAsync);
    }

    /// <summary>Facts that all traces have in common; null before it was said.</summary>
    public DatasetDescription? Dataset { get; private set; }

    /// <summary>
    /// Capabilities that the teacher's endpoint was seen to have when the collection began; null where that was not said.
    /// </summary>
    public TeacherCapabilities? Capabilities { get; private set; }

    /// <summary>True to keep alternatives as they come, for shards of the plain layout; else as compact shards have them.</summary>
    public bool IsExact { get; set; }

    /// <summary>Where the journal lies.</summary>
    public string Path => _path;

    /// <summary>
    /// True where the file is still there. One whose folder was removed can be written to, and what is written is lost when it is closed.
    /// </summary>
    public bool IsThere => File.Exists(_path);

    /// <summary>Error for when it is not.</summary>
    public ExternalFailureException Gone() =>
        new(
            $"{_path}: is gone, and its folder perhaps with it; "
                + "bring it back and run the same command again, or start anew with another --out"
        );

    /// <summary>Suffixes that the names of a journal's files add to its own.</summary>
    public static IReadOnlyList<string> FileSuffixes { get; } = ["-wal", "-shm", ""];

    /// <summary><c>journal.db</c>, or <c>journal-i-of-N.db</c> for a partition of a collection.</summary>
    public static string FileNameOf(Partition partition) =>
        partition.Count == 1 ? "journal.db" : $"journal-{partition.Index}-of-{partition.Count}.db";

    public static bool ExistsIn(string directory, Partition? partition = null) => File.Exists(PathIn(directory, partition));

    /// <summary>Opens or creates the journal of a folder and keeps other processes out of it.</summary>
    /// <param name="directory">An existing folder.</param>
    /// <param name="dataset">As for <see cref="Describe"/>; null leaves it to be said later.</param>
    /// <param name="partition">The partition that is collected; null is the whole.</param>
    /// <param name="synchronous">When to wait for the disk.</param>
    /// <exception cref="InvalidInputException">The folder cannot be written, is in use, or holds a journal of other traces.</exception>
    public static TraceJournal Open(
        string directory,
        DatasetDescription? dataset,
        Partition? partition = null,
        JournalSync synchronous = JournalSync.Full
    )
    {
        var path = PathIn(directory, partition);
        var connection = new SqliteConnection(
            new SqliteConnectionStringBuilder
            {
                DataSource = path,
                Pooling = false,
                DefaultTimeout = 1,
            }.ToString()
        );
        TraceJournal? journal = null;
        try
        {
            connection.Open();

            // The lock is taken by the first write and held to the end; so the log needs no shared memory, which a network's disk has not.
            JournalSchema.Execute(
                connection,
                $"PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};"
            );
            JournalSchema.Prepare(connection);
            journal = new TraceJournal(path, connection);
            if (dataset is not null)
            {
                journal.Describe(dataset);
            }

            return journal;
        }
        catch (Exception e)
        {
            journal?._pending.Writer.Complete();
            connection.Dispose();
            throw e switch
            {
                SqliteException sqlite => JournalFailure.Describe(path, sqlite),
                JsonException or InvalidCastException => new InvalidInputException(
                    $"{path}: is not a journal of this program, or damaged; restore it, or delete it and collect its traces again",
                    e
                ),
                InvalidDataException => new InvalidInputException(
                    $"{path}: {e.Message}; go on with that one, or delete it and collect its traces again",
                    e
                ),
                _ => e,
            };
        }
    }

    /// <summary>Says what all traces have in common, and what their teacher's endpoint was seen to do.</summary>
    /// <param name="dataset">Facts that they have in common.</param>
    /// <param name="capabilities">The endpoint's capabilities; null leaves those that are known.</param>
    /// <param name="notes">Notes of traces that stand published, for a journal that begins now: from here on they are its own.</param>
    /// <exception cref="InvalidInputException">The journal has other traces.</exception>
    public void Describe(
        DatasetDescription dataset,
        TeacherCapabilities? capabilities = null,
        IReadOnlyDictionary<TraceKey, string>? notes = null
    ) =>
        Locked(() =>
        {
            if (Dataset is not null)
            {
                DatasetDifference.Ensure(_path, Dataset, dataset);
            }

            using var transaction = _connection.BeginTransaction();
            if (Dataset is null && notes is { Count: > 0 })
            {
                using var insert = InsertNote();
                foreach (var (key, note) in notes)
                {
                    Set(insert, key, note);
                }
            }

            JournalSchema.Save(_connection, DatasetTable, dataset);
            if (capabilities is not null)
            {
                JournalSchema.Save(_connection, CapabilitiesTable, capabilities);
            }

            transaction.Commit();
            (Dataset, Capabilities) = (dataset, capabilities ?? Capabilities);
            return true;
        });

    /// <summary>Completes once the trace is on disk.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="replace">True to replace a trace with its id; otherwise such a trace stays and nothing changes.</param>
    /// <param name="note">
    /// Why it lacks something, for <see cref="Notes"/>; null where it lacks nothing, and then one that replaces another takes its note
    /// away.
    /// </param>
    /// <exception cref="InvalidInputException">The disk is full or no longer writable.</exception>
    /// <exception cref="ExternalFailureException">The disk fails, or the folder is gone.</exception>
    /// <remarks>While the disk is waited for, only the encoded trace is held.</remarks>
    public Task AddAsync(Trace trace, bool replace = false, string? note = null)
    {
        return AddAsync(new Pending(TraceKey.Of(trace.Id), TraceCodec.Encode(trace, IsExact), replace, note));

        async Task AddAsync(Pending pending)
        {
            await EnterAsync(pending);
            await pending.Written.Task;
        }
    }

    /// <summary>The note of each trace that was added with one, in a row or a shard, or stood published with one.</summary>
    public IReadOnlyDictionary<TraceKey, string> Notes() =>
        Locked(() =>
        {
            using var command = _connection.CreateCommand();
            command.CommandText = "SELECT id, note FROM notes";
            using var rows = command.ExecuteReader();
            var notes = new Dictionary<TraceKey, string>();
            while (rows.Read())
            {
                notes[ReadKey(rows)] = rows.GetString(1);
            }

            return notes;
        });

    /// <summary>Notes the same of traces that are there.</summary>
    public void Note(IReadOnlyList<TraceKey> keys, string note) =>
        Locked(() =>
        {
            using var transaction = _connection.BeginTransaction();
            using var insert = InsertNote();
            foreach (var key in keys)
            {
                Set(insert, key, note);
            }

            transaction.Commit();
            return true;
        });

    /// <summary>The traces that are rows.</summary>
    public IReadOnlyList<TraceKey> Rows() =>
        Locked(() =>
        {
            using var command = _connection.CreateCommand();
            command.CommandText = "SELECT id FROM traces";
            using var rows = command.ExecuteReader();
            var keys = new List<TraceKey>();
            while (rows.Read())
            {
                keys.Add(ReadKey(rows));
            }

            return keys;
        });

    /// <summary>The shards that traces have been moved into, in the order in which that happened.</summary>
    public IReadOnlyList<JournalShard> Shards() => Locked(_shards.Read);

    /// <summary>The rows with these keys, in the order given.</summary>
    /// <exception cref="InvalidInputException">The journal is damaged.</exception>
    public IEnumerable<Trace> Read(IEnumerable<TraceKey> keys) =>
        keys.Chunk(ReadAtATime).SelectMany(chunk => Locked(() => ReadBlobs(chunk))).Select(Decode);

    /// <summary>The number of the next shard.</summary>
    public long NextShardNumber() => Locked(_shards.NextNumber);

    /// <summary>Takes note of a shard that stands under its name, and drops the rows of its traces, in one transaction.</summary>
    public void NoteShard(JournalShard shard) =>
        Locked(() =>
        {
            using var transaction = _connection.BeginTransaction();
            _shards.Add(shard);
            using var command = _connection.CreateCommand();
            command.CommandText = "DELETE FROM traces WHERE id = $id";
            var id = command.Parameters.Add("$id", SqliteType.Blob);
            foreach (var key in shard.Keys)
            {
                id.Value = key.ToBytes();
                command.ExecuteNonQuery();
            }

            transaction.Commit();
            return true;
        });

    /// <summary>
    /// Takes note of all shards of the data set that is about to be published, in the place of those known so far, in one transaction.
    /// </summary>
    public void NoteDataSet(IReadOnlyList<JournalShard> shards) =>
        Locked(() =>
        {
            using var transaction = _connection.BeginTransaction();
            _shards.Clear();
            foreach (var shard in shards)
            {
                _shards.Add(shard);
            }

            transaction.Commit();
            return true;
        });

    /// <summary>Ends writing: from here on the journal is read.</summary>
    public async Task CompleteAsync()
    {
        _pending.Writer.TryComplete();
        await _writer;
    }

    /// <summary>Closes the journal; what was acknowledged stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await CompleteAsync();
        await _connection.DisposeAsync();
    }

    /// <summary>Removes a closed journal whose traces are published.</summary>
    public static void Delete(string directory, Partition? partition = null)
    {
        // The log first: without its database it would be applied to the next one of that name.
        foreach (var suffix in FileSuffixes)
        {
            File.Delete(PathIn(directory, partition) + suffix);
        }
    }

    static string PathIn(string directory, Partition? partition) =>
        System.IO.Path.Combine(directory, FileNameOf(partition ?? Partition.Whole));

    /// <summary>Waits for room, one caller after the other: long traces are few at a time.</summary>
    async Task EnterAsync(Pending pending)
    {
        await _entrance.WaitAsync();
        try
        {
            while (Interlocked.Read(ref _bytesWaiting) > MostBytesWaiting)
            {
                await _written.WaitAsync();
            }

            Interlocked.Add(ref _bytesWaiting, pending.Blob.Length);
            await _pending.Writer.WriteAsync(pending);
        }
        finally
        {
            _entrance.Release();
        }
    }

    void Leave(List<Pending> batch)
    {
        Interlocked.Add(ref _bytesWaiting, -batch.Sum(pending => (long)pending.Blob.Length));
        if (_written.CurrentCount == 0)
        {
            _written.Release();
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
                Locked(() => Commit(batch));
                batch.ForEach(pending => pending.Written.SetResult());
            }
            catch (Exception e)
            {
                batch.ForEach(pending => pending.Written.SetException(e));
            }

            Leave(batch);
        }
    }

    bool Commit(List<Pending> batch)
    {
        using var transaction = _connection.BeginTransaction();
        using var add = Insert("ON CONFLICT DO NOTHING");
        using var replace = Insert("ON CONFLICT DO UPDATE SET trace = excluded.trace");
        using var note = InsertNote();
        using var noNote = _connection.CreateCommand();
        noNote.CommandText = "DELETE FROM notes WHERE id = $id";
        noNote.Parameters.Add("$id", SqliteType.Blob);
        foreach (var pending in batch)
        {
            Set(pending.Replace ? replace : add, pending.Key, pending.Blob);
            if (pending.Note is { } text)
            {
                Set(note, pending.Key, text);
            }
            else if (pending.Replace)
            {
                noNote.Parameters[0].Value = pending.Key.ToBytes();
                noNote.ExecuteNonQuery();
            }
        }

        transaction.Commit();

        return IsThere ? true : throw Gone();
    }

    SqliteCommand Insert(string onConflict)
    {
        var command = _connection.CreateCommand();
        command.CommandText = $"INSERT INTO traces (id, trace) VALUES ($id, $trace) {onConflict}";
        command.Parameters.Add("$id", SqliteType.Blob);
        command.Parameters.Add("$trace", SqliteType.Blob);
        return command;
    }

    SqliteCommand InsertNote()
    {
        var command = _connection.CreateCommand();
        command.CommandText = "INSERT OR REPLACE INTO notes (id, note) VALUES ($id, $note)";
        command.Parameters.Add("$id", SqliteType.Blob);
        command.Parameters.Add("$note", SqliteType.Text);
        return command;
    }

    static void Set(SqliteCommand command, TraceKey key, object value)
    {
        (command.Parameters[0].Value, command.Parameters[1].Value) = (key.ToBytes(), value);
        command.ExecuteNonQuery();
    }

    /// <summary>The id in the first column.</summary>
    static TraceKey ReadKey(SqliteDataReader rows)
    {
        var key = new byte[TraceKey.Size];
        return rows.GetBytes(0, 0, key, 0, key.Length) == key.Length
            ? TraceKey.Read(key)
            : throw new InvalidDataException("an id in the journal is damaged");
    }

    List<byte[]> ReadBlobs(TraceKey[] keys)
    {
        using var command = _connection.CreateCommand();
        command.CommandText = "SELECT trace FROM traces WHERE id = $id";
        var id = command.Parameters.Add("$id", SqliteType.Blob);
        var blobs = new List<byte[]>(keys.Length);
        foreach (var key in keys)
        {
            id.Value = key.ToBytes();
            blobs.Add(command.ExecuteScalar() as byte[] ?? throw new InvalidDataException($"trace {key} is missing from the journal"));
        }

        return blobs;
    }

    Trace Decode(byte[] blob)
    {
        try
        {
            return TraceCodec.Decode(blob);
        }
        catch (InvalidDataException e)
        {
            throw Damaged(e);
        }
    }

    T Locked<T>(Func<T> use)
    {
        lock (_turn)
        {
            try
            {
                return use();
            }
            catch (SqliteException e)
            {
                throw JournalFailure.Describe(_path, e);
            }
            catch (InvalidDataException e)
            {
                throw Damaged(e);
            }
            catch (Exception e)
                when (e is InvalidCastException or FormatException or ArgumentException or OverflowException
                    || e.GetType() == typeof(InvalidOperationException)
                )
            {
                // A value of another type than the column's, or none where there must be one.
                throw Damaged(new InvalidDataException("a value in the journal is damaged", e));
            }
        }
    }

    InvalidInputException Damaged(InvalidDataException e) =>
        new($"{_path}: {e.Message}; restore it, or delete it and collect its traces again", e);

    sealed record Pending(TraceKey Key, byte[] Blob, bool Replace, string? Note)
    {
        public TaskCompletionSource Written { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

using System.Collections;
using TraceDistill.Data.Traces;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Where each trace of a plan is by now: nowhere, a row of the journal, or in a shard. Traces that
/// are there although the plan does not know them (it had more samples before, say) stand after
/// the plan's. The whole is cut into blocks: one block makes one shard.
/// </summary>
/// <remarks>Thread-safe. A million traces take some 60 MB.</remarks>
sealed class TraceInventory
{
    const int Nowhere = -1;
    const int Row = -2;

    readonly Lock _lock = new();
    readonly List<TraceKey> _keys;
    readonly Dictionary<TraceKey, int> _positions;
    readonly List<int> _homes; // [position] a shard's index, or one of the above
    readonly List<StoredShard> _shards;
    readonly BitArray _wanted; // [position in the plan] to be asked for, again or for the first time
    readonly Dictionary<int, long> _seeds = []; // of those to be asked for again: the seed they had
    readonly int[] _waiting; // [block] wanted traces in it
    readonly BlockCut _cut;

    /// <param name="plan">Ids of the traces wanted, in order.</param>
    /// <param name="shards">Shards that are there; a later one's traces take the place of an earlier one's.</param>
    /// <param name="rows">Traces in the journal, which take the place of those in shards.</param>
    /// <param name="cut">Cut into blocks.</param>
    /// <param name="plannedOnly">True where traces that the plan does not know are taken not to be there.</param>
    public TraceInventory(
        TraceKey[] plan,
        IReadOnlyList<StoredShard> shards,
        IReadOnlyList<TraceKey> rows,
        BlockCut cut,
        bool plannedOnly = false
    )
    {
        _cut = cut;
        _keys = [.. plan];
        _shards = [.. shards];
        _homes = [.. Enumerable.Repeat(Nowhere, plan.Length)];
        _positions = new Dictionary<TraceKey, int>(plan.Length);
        for (var i = 0; i < plan.Length; i++)
        {
            _positions.TryAdd(plan[i], i);
        }

        for (var i = 0; i < shards.Count; i++)
        {
            foreach (var key in shards[i].Keys.Where(key => !plannedOnly || _positions.ContainsKey(key)))
            {
                _homes[PositionOf(key)] = i;
            }
        }

        foreach (var key in rows.Where(key => !plannedOnly || _positions.ContainsKey(key)).Order())
        {
            _homes[PositionOf(key)] = Row;
        }

        PlanCount = plan.Length;
        _wanted = new BitArray(plan.Length);
        _waiting = new int[Blocks];
        for (var i = 0; i < plan.Length; i++)
        {
            if (_homes[i] == Nowhere)
            {
                Want(i);
            }
        }
    }

    /// <summary>Traces of the plan.</summary>
    public int PlanCount { get; }

    /// <summary>Traces to be asked for.</summary>
    public int Wanted { get; private set; }

    /// <summary>Traces that are there.</summary>
    public int Present => _homes.Count(home => home != Nowhere);

    /// <summary>Traces still to be asked for: those that are not there, and those that were to be asked for again.</summary>
    public int Missing
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Sum();
            }
        }
    }

    public int Blocks => _cut.Count(_keys.Count);

    /// <summary>Traces of each row group of a block; null where they are cut by size.</summary>
    public IReadOnlyList<int>? RowGroups(int block) => _cut.Groups.Count == 0 ? null : _cut.Groups[block];

    public IReadOnlyList<StoredShard> Shards => _shards;

    public bool IsWanted(int position) => _wanted[position];

    /// <summary>The trace by another seed than before, if it is to be asked for again; else as it is.</summary>
    public PlannedTrace AsAskedFor(PlannedTrace planned) =>
        NewSeed(planned.Position) is { } seed
            ? planned with
            {
                Request = planned.Request with { Sampling = planned.Request.Sampling with { Seed = seed } },
            }
            : planned;

    /// <summary>The seed with which a trace is asked for again; null where it is asked for the first time.</summary>
    public long? NewSeed(int position) => _seeds.TryGetValue(position, out var earlier) ? SampleSeed.After(_keys[position], earlier) : null;

    /// <summary>The place of a trace; null where neither the plan nor the folder knows it.</summary>
    public int? Find(TraceKey key) => _positions.TryGetValue(key, out var position) ? position : null;

    /// <summary>Asks for a trace again that is there, if it is one of the plan's.</summary>
    public void AskAgain(TraceKey key, long earlierSeed)
    {
        if (_positions[key] is var position && position < PlanCount && !_wanted[position])
        {
            Want(position);
            _seeds[position] = earlierSeed;
        }
    }

    /// <summary>A wanted trace is a row of the journal now.</summary>
    /// <returns>The trace's block, where nothing more is wanted for it and all of it are rows; else null.</returns>
    public int? Arrived(int position)
    {
        lock (_lock)
        {
            _homes[position] = Row;
            if (_wanted[position])
            {
                _wanted[position] = false;
                _waiting[_cut.Of(position)]--;
            }

            return _cut.Of(position) is var block && IsReady(block) ? block : null;
        }
    }

    /// <summary>A trace of a shard was copied into the journal.</summary>
    public void PutAside(TraceKey key)
    {
        lock (_lock)
        {
            _homes[_positions[key]] = Row;
        }
    }

    /// <summary>Returns whether all traces of a block are there as rows, and none is wanted again.</summary>
    public bool IsReady(int block) => _waiting[block] == 0 && PositionsOf(block).All(position => _homes[position] == Row);

    /// <summary>The traces of a block that are there, in order, each with the index of its shard; null for a row.</summary>
    public IReadOnlyList<(TraceKey Key, int? Shard)> Content(int block)
    {
        lock (_lock)
        {
            return
            [
                .. PositionsOf(block)
                    .Where(position => _homes[position] != Nowhere)
                    .Select(position => (_keys[position], _homes[position] == Row ? (int?)null : _homes[position])),
            ];
        }
    }

    /// <summary>The index of the shard in which a trace is; null where it is a row.</summary>
    public int? ShardOf(TraceKey key) =>
        _positions.TryGetValue(key, out var position) && _homes[position] is >= 0 and var shard ? shard : null;

    /// <summary>Traces that are there.</summary>
    public IReadOnlyList<TraceKey> There() => [.. _keys.Where((_, position) => _homes[position] != Nowhere)];

    /// <summary>Traces that are there although the plan does not know them.</summary>
    public IReadOnlyList<TraceKey> LeftOver() => _keys.GetRange(PlanCount, _keys.Count - PlanCount);

    /// <summary>A shard holds traces now that were elsewhere.</summary>
    public void Add(StoredShard shard)
    {
        lock (_lock)
        {
            foreach (var key in shard.Keys)
            {
                _homes[_positions[key]] = _shards.Count;
            }

            _shards.Add(shard);
        }
    }

    void Want(int position)
    {
        _wanted[position] = true;
        _waiting[_cut.Of(position)]++;
        Wanted++;
    }

    int PositionOf(TraceKey key)
    {
        if (!_positions.TryGetValue(key, out var position))
        {
            _positions[key] = position = _keys.Count;
            _keys.Add(key);
            _homes.Add(Nowhere);
        }

        return position;
    }

    IEnumerable<int> PositionsOf(int block) => _cut.Positions(block, _keys.Count);
}

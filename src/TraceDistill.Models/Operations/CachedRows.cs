using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// R = rows (tokens) of a pass, B = sequences of a group, T = rows of each, L = positions that are read
// of each, H = query heads, G = key heads, g = H / G, d = channels of a head, r = rotated channels
// b = rows of a chunk, whose scores are as many as those of ChunkedAttention

/// <summary>A token of a pass and where it stands in its sequence.</summary>
/// <param name="Sequence">Rows of one sequence have one number, and come in order of their positions.</param>
/// <param name="Position">From 0.</param>
/// <param name="Pages">Of the sequence, in order.</param>
/// <param name="IsLong">True where its sequence is long in the sense of <see cref="Configuration.ModelConfiguration.IsLong"/>.</param>
public readonly record struct CachedRow(int Sequence, int Position, int[] Pages, bool IsLong = false);

/// <summary>
/// The rows of one pass over sequences whose former keys and values are in <see cref="KeyValuePages"/>. Those that are the
/// only one of their sequence attend together, those of a prompt by themselves, so that no row waits for the longest prompt.
/// </summary>
public sealed class CachedRows : IDisposable
{
    readonly KeyValuePages _pages;
    readonly RotaryPositions _positions;
    readonly Tensor _slots;
    readonly Tensor? _order;
    readonly List<Group> _groups = [];

    /// <param name="pages">The memory.</param>
    /// <param name="rows">[R].</param>
    public CachedRows(KeyValuePages pages, IReadOnlyList<CachedRow> rows)
    {
        _pages = pages;
        var device = pages.Keys[0].device;
        var size = pages.PageTokens;
        _positions = new RotaryPositions([.. rows.Select(row => row.Position)], [.. rows.Select(row => row.IsLong)], device);
        foreach (var held in _positions.Tensors)
        {
            held?.DetachFromDisposeScope();
        }

        _slots = Keep(rows.Select(row => ((long)row.Pages[row.Position / size] * size) + (row.Position % size)));
        var sequences = rows.Select((row, index) => (row, index)).GroupBy(row => row.row.Sequence).ToList();
        int[][] single =
        [
            .. sequences.Where(sequence => sequence.Count() == 1).Select(sequence => sequence.Select(row => row.index).ToArray()),
        ];
        int[][][] grouped =
        [
            .. sequences.Where(sequence => sequence.Count() > 1).Select(sequence => new[] { sequence.Select(row => row.index).ToArray() }),
        ];
        grouped = single.Length > 0 ? [single, .. grouped] : grouped;
        _groups.AddRange(grouped.Select(group => new Group(rows, group, size, device)));
        int[] order = [.. grouped.SelectMany(group => group).SelectMany(sequence => sequence)];
        if (!order.SequenceEqual(Enumerable.Range(0, rows.Count)))
        {
            var inverse = new long[order.Length];
            for (var i = 0; i < order.Length; i++)
            {
                inverse[order[i]] = i;
            }

            _order = Keep(inverse);
        }

        Tensor Keep(IEnumerable<long> values) => tensor(values.ToArray(), device: device).DetachFromDisposeScope();
    }

    public void Dispose()
    {
        foreach (var held in _positions.Tensors.Concat([_slots, _order]))
        {
            held?.Dispose();
        }

        _groups.ForEach(group => group.Dispose());
    }

    /// <returns>[R, 1, r/2] cosines and sines of the rows' positions.</returns>
    internal (Tensor Cosine, Tensor Sine) Angles(RotaryTables tables, ScalarType dtype) => _positions.Angles(tables, dtype);

    /// <summary>Puts the rows' keys and values where later rows find them.</summary>
    /// <param name="keys">[R, G, d] rotated.</param>
    /// <param name="values">[R, G, d].</param>
    internal void Store(int layer, Tensor keys, Tensor values)
    {
        using var scope = NewDisposeScope();
        foreach (var (memory, rows) in new[] { (_pages.Keys[layer], keys), (_pages.Values[layer], values) })
        {
            memory.view(-1, rows.shape[1], rows.shape[2]).index_copy_(0, _slots, rows.to(memory.dtype));
        }
    }

    /// <param name="queries">[R, H, d] rotated; scores are their products with keys, divided by √d.</param>
    /// <param name="window">Keys that a row sees, its own included; null for all before it.</param>
    /// <param name="cap">c, where scores s become c · tanh(s / c); null where they stay.</param>
    /// <returns>[R, H·d].</returns>
    internal Tensor Attend(int layer, Tensor queries, int? window, double? cap)
    {
        using var scope = NewDisposeScope();
        Tensor[] results = [.. _groups.Select(group => group.Attend(queries, _pages.Keys[layer], _pages.Values[layer], window, cap))];
        var all = results.Length == 1 ? results[0] : cat(results, 0);
        return (_order is null ? all : all.index_select(0, _order)).MoveToOuterDisposeScope();
    }

    /// <summary>Sequences that have as many rows each.</summary>
    sealed class Group : IDisposable
    {
        readonly Tensor _rows,
            _pages,
            _positions,
            _keyPositions;
        readonly Dictionary<int, Tensor> _masks = [];
        readonly int _sequences,
            _each;

        /// <param name="all">[R].</param>
        /// <param name="sequences">[B][T] indices of rows.</param>
        /// <param name="pageTokens">Positions of a page.</param>
        public Group(IReadOnlyList<CachedRow> all, int[][] sequences, int pageTokens, Device device)
        {
            (_sequences, _each) = (sequences.Length, sequences[0].Length);
            var pages = sequences.Max(sequence => all[sequence[^1]].Position / pageTokens) + 1;
            var read = new long[_sequences * pages];
            for (var i = 0; i < _sequences; i++)
            {
                // Pages behind a sequence's last one may be any: no row looks there.
                var row = all[sequences[i][^1]];
                for (var page = 0; page <= row.Position / pageTokens; page++)
                {
                    read[(i * pages) + page] = row.Pages[page];
                }
            }

            long[] rows = [.. sequences.SelectMany(sequence => sequence).Select(row => (long)row)];
            _rows = tensor(rows, device: device).DetachFromDisposeScope();
            _pages = tensor(read, device: device).DetachFromDisposeScope();
            _positions = tensor(rows.Select(row => (long)all[(int)row].Position).ToArray(), device: device)
                .reshape(_sequences, 1, _each, 1)
                .DetachFromDisposeScope();
            _keyPositions = tensor(Enumerable.Range(0, pages * pageTokens).Select(position => (long)position).ToArray(), device: device)
                .DetachFromDisposeScope();
        }

        /// <returns>[B·T, H·d].</returns>
        public Tensor Attend(Tensor queries, Tensor keyMemory, Tensor valueMemory, int? window, double? cap)
        {
            long heads = queries.shape[1],
                d = queries.shape[2];
            var (keys, values) = (Read(keyMemory), Read(valueMemory)); // [B, G, L, d]
            var q = queries.index_select(0, _rows).view(_sequences, _each, heads, d);
            var most = (int)Math.Clamp(ChunkedAttention.ChunkScores / (_sequences * heads * keys.shape[2]), 1, _each);
            var results = new List<Tensor>();
            for (var first = 0; first < _each; first += most)
            {
                using var chunk = NewDisposeScope();
                var rows = q.narrow(1, first, Math.Min(most, _each - first));
                results.Add(Attend(rows, first, keys, values, window, cap).MoveToOuterDisposeScope());
            }

            return (results.Count == 1 ? results[0] : cat(results, 1)).reshape(_sequences * _each, heads * d);
        }

        /// <param name="queries">[B, b, H, d] rows of each sequence from <paramref name="first"/> on.</param>
        /// <returns>[B, b, H·d].</returns>
        Tensor Attend(Tensor queries, int first, Tensor keys, Tensor values, int? window, double? cap)
        {
            long rows = queries.shape[1],
                heads = queries.shape[2],
                d = queries.shape[3],
                keyHeads = keys.shape[1],
                group = heads / keyHeads;
            // The heads of a group look at the same keys: they are further rows of queries, which spares a copy of keys for each.
            var q = queries
                .reshape(_sequences, rows, keyHeads, group, d)
                .permute(0, 2, 3, 1, 4)
                .reshape(_sequences, keyHeads, group * rows, d);
            var mask = Mask(first, rows, window, group); // [B, 1, g·b, L]
            var y = cap is null
                ? nn.functional.scaled_dot_product_attention(q, keys, values, mask)
                : SoftCap
                    .Apply(q.matmul(keys.transpose(-1, -2)).Wide().Scale(1 / Math.Sqrt(d)), cap.Value)
                    .NegativeInfinityWhere(mask.logical_not())
                    .softmax(-1)
                    .to(values.dtype)
                    .matmul(values);
            return y.reshape(_sequences, keyHeads, group, rows, d).permute(0, 3, 1, 2, 4).reshape(_sequences, rows, heads * d);
        }

        public void Dispose()
        {
            foreach (var held in _masks.Values.Concat([_rows, _pages, _positions, _keyPositions]))
            {
                held.Dispose();
            }
        }

        Tensor Read(Tensor memory) => memory.index_select(0, _pages).view(_sequences, -1, memory.shape[2], memory.shape[3]).transpose(1, 2);

        /// <summary>The layers with one window share a mask, unless it is one of many: those of all rows would grow with T·L.</summary>
        Tensor Mask(int first, long rows, int? window, long group)
        {
            if (_masks.TryGetValue(window ?? 0, out var mask))
            {
                return mask;
            }

            using var scope = NewDisposeScope();
            var positions = _positions.narrow(2, first, rows);
            mask = _keyPositions.le(positions); // [B, 1, b, L]
            mask = window is null ? mask : mask.logical_and(_keyPositions.gt(positions - tensor((long)window, device: positions.device)));
            mask = rows == 1 ? mask : mask.repeat(1, 1, group, 1);
            if (rows < _each)
            {
                return mask.MoveToOuterDisposeScope();
            }

            _masks.Add(window ?? 0, mask.DetachFromDisposeScope());
            return mask;
        }
    }
}

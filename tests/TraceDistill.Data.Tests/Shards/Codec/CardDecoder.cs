namespace TraceDistill.Data.Tests.Shards.Codec;

/// <summary>Decodes the soft_targets column: written from its description on the dataset card alone.</summary>
sealed class CardDecoder
{
    /// <summary>The symbol of a token that no expectation held.</summary>
    const int Unknown = 15;

    readonly byte[] _bytes;
    readonly Model[] _models = [.. Enumerable.Range(0, 71).Select(_ => new Model())];
    readonly List<int> _ids = [];
    int _at = 1;
    ulong _code;
    ulong _range = 0xFFFFFFFF;

    CardDecoder(byte[] bytes)
    {
        _bytes = bytes;
        for (var i = 0; i < 4; i++)
        {
            _code = (_code * 256) + Next();
        }
    }

    /// <param name="TokenIds">[T]</param>
    /// <param name="Logprobs">[T]</param>
    /// <param name="TopIds">[T][at most k]</param>
    /// <param name="TopLogprobs">[T][at most k]</param>
    public sealed record SoftTargets(List<int> TokenIds, List<double> Logprobs, List<int[]> TopIds, List<double[]> TopLogprobs);

    /// <param name="value">A value of the column.</param>
    /// <param name="n">Tokens of the row.</param>
    /// <param name="k">Top tokens of the data set.</param>
    public static SoftTargets Decode(byte[] value, int n, int k) =>
        value[0] == 1 ? new CardDecoder(value).Decode(n, k) : throw new InvalidDataException($"version {value[0]}");

    SoftTargets Decode(int n, int k)
    {
        var result = new SoftTargets([], [], [], []);
        var afterPair = new Dictionary<(int, int), int[]>();
        var afterToken = new Dictionary<int, int[]>();
        var (a, b, lastRank) = (-1, -1, 0);
        for (var t = 0; t < n; t++)
        {
            var count = Nibble(0) == 0 ? k : k - (int)Number(1);
            var steps = ReadSteps(count);
            var tail = count > 0 ? Relative(7, 8, steps[^1]) : 0;

            var (order, rowBefore) =
                afterPair.TryGetValue((a, b), out var pairs) ? (2, pairs)
                : afterToken.TryGetValue(b, out var tokens) ? (1, tokens)
                : (0, t > 0 ? result.TopIds[t - 1] : []);
            var expected = rowBefore.ToList();
            var row = new int[count];
            for (var i = 0; i < count; i++)
            {
                var place = Nibble(61 + (2 * order) + (i == 0 ? 0 : 1));
                row[i] = place == Unknown ? Id() : expected[place];
                if (place != Unknown)
                {
                    expected.RemoveAt(place);
                }
            }

            var symbol = Nibble(lastRank == 0 ? 3 : 4);
            lastRank = symbol;
            int? rank =
                symbol < 14 ? symbol
                : symbol == 14 ? 14 + (int)Number(5)
                : null;
            var drawn = rank is { } at ? row[at] : Id();
            var drawnSteps = rank is { } known ? steps[known] : Relative(10, 11, count > 0 ? steps[^1] : 0)!.Value;

            var normalizer = Math.Log(steps.Sum(step => Math.Exp(-Gap(step))) + (tail is { } beyond ? Math.Exp(-Gap(beyond)) : 0));
            result.TopIds.Add(row);
            result.TopLogprobs.Add([.. steps.Select(step => -Gap(step) - normalizer)]);
            result.TokenIds.Add(drawn);
            result.Logprobs.Add(-Gap(drawnSteps) - normalizer);
            (afterPair[(a, b)], afterToken[b]) = (row, row);
            (a, b) = (b, drawn);
        }

        return result;
    }

    long[] ReadSteps(int count)
    {
        var steps = new long[count];
        for (var i = 1; i < count; i++)
        {
            var rankClass =
                i == 1 ? 0
                : i < 5 ? 1
                : 2;
            var context = steps[i - 1] >= 1008 ? 0 : (int)Math.Floor(Math.Log2(1024 - steps[i - 1])) - 3;
            steps[i] = steps[i - 1] + Number(13 + (2 * ((8 * rankClass) + context)));
        }

        return steps;
    }

    int Id()
    {
        var j = (int)Number(67);
        if (j == 0)
        {
            _ids.Add((int)Number(69));
            return _ids[^1];
        }

        var to = (j - 1) / 2;
        (_ids[j - 1], _ids[to]) = (_ids[to], _ids[j - 1]);
        return _ids[to];
    }

    long? Relative(int signs, int numbers, long reference) =>
        Nibble(signs) switch
        {
            0 => reference + Number(numbers),
            1 => reference - Number(numbers),
            _ => null,
        };

    long Number(int model)
    {
        var length = Nibble(model);
        if (length == 15)
        {
            length += Nibble(model + 1);
        }

        if (length <= 1)
        {
            return length;
        }

        var value = length > 17 ? (1L << (length - 17)) + Bits(length - 17) : 1;
        var low = Math.Min(length - 1, 16);
        return (value << low) + Bits(low);
    }

    int Nibble(int index)
    {
        var model = _models[index];
        var unit = _range / 32768;
        var position = (int)Math.Min(_code / unit, 32767);
        var symbol = 15;
        while (model.Starts[symbol] > position)
        {
            symbol--;
        }

        Narrow(unit, (ulong)model.Starts[symbol], (ulong)(model.Starts[symbol + 1] - model.Starts[symbol]));
        model.Adapt(symbol);
        return symbol;
    }

    long Bits(int count)
    {
        var unit = _range >> count;
        var value = Math.Min(_code / unit, (1ul << count) - 1);
        Narrow(unit, value, 1);
        return (long)value;
    }

    void Narrow(ulong unit, ulong start, ulong width)
    {
        _code -= unit * start;
        _range = unit * width;
        while (_range < 1 << 24)
        {
            _range *= 256;
            _code = (_code * 256) + Next();
        }
    }

    byte Next() => _at < _bytes.Length ? _bytes[_at++] : (byte)0;

    /// <summary>Natural logs below the row's first, by step of the grid.</summary>
    static double Gap(long step) =>
        step < 0 ? -Gap(-step)
        : step <= 1008 ? -2 * Math.Log(1 - (step / 1024.0))
        : (2 * Math.Log(64)) + ((step - 1008) / 8.0);

    /// <summary>Adaptive frequencies of sixteen symbols.</summary>
    sealed class Model
    {
        int _seen;

        public int[] Starts { get; } = [.. Enumerable.Range(0, 17).Select(i => 2048 * i)];

        public void Adapt(int symbol)
        {
            var seen = _seen++;
            var rate =
                seen < 1 ? 1
                : seen < 3 ? 2
                : seen < 7 ? 3
                : seen < 16 ? 4
                : seen < 63 ? 5
                : 6;
            for (var i = 0; i < 16; i++)
            {
                Starts[i] += ((i <= symbol ? 8 * i : 32768 - (8 * (16 - i))) - Starts[i]) >> rate;
            }
        }
    }
}

using System.Text;
using TraceDistill.Inference.Sequences;

namespace TraceDistill.Serving.Model;

/// <summary>Puts a choice's text together byte by byte as its tokens are drawn, and ends it at a stop string.</summary>
/// <remarks>Text is the tokens' bytes one after the other, without the end-of-sequence token. One thread at a time.</remarks>
sealed class GeneratedText(ServedModel model, IReadOnlyList<byte[]> stops) : ITokenSink
{
    readonly int _longestStop = stops.Count == 0 ? 0 : stops.Max(stop => stop.Length);
    byte[] _bytes = new byte[256];
    int _written;

    /// <summary>Bytes of the text; what a stop string cut off is not counted.</summary>
    public int Length { get; private set; }

    /// <summary>Bytes that no later token can take away: all but the beginning of what may become a stop string.</summary>
    public int CertainLength => Length - HeldBack();

    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, Length);

    public override string ToString() => Encoding.UTF8.GetString(Bytes);

    public bool Append(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
    {
        var bytes = model.IsEnd(token) ? [] : model.TokenBytes(token);
        if (_written + bytes.Length > _bytes.Length)
        {
            Array.Resize(ref _bytes, int.Max(2 * _bytes.Length, _written + bytes.Length));
        }

        var searchFrom = int.Max(0, _written - _longestStop + 1);
        bytes.CopyTo(_bytes.AsSpan(_written));
        _written += bytes.Length;
        Length = _written;
        if (FirstStop(searchFrom) is not { } stop)
        {
            return true;
        }

        Length = stop;
        return false;
    }

    int? FirstStop(int from)
    {
        int? first = null;
        foreach (var stop in stops)
        {
            var at = _bytes.AsSpan(from, _written - from).IndexOf(stop);
            if (at >= 0 && !(first <= from + at))
            {
                first = from + at;
            }
        }

        return first;
    }

    /// <summary>The longest end of the text that a stop string begins with.</summary>
    int HeldBack()
    {
        if (Length < _written)
        {
            return 0; // Already stopped.
        }

        for (var length = int.Min(_longestStop - 1, Length); length > 0; length--)
        {
            var end = _bytes.AsSpan(Length - length, length);
            foreach (var stop in stops)
            {
                if (length < stop.Length && stop.AsSpan(0, length).SequenceEqual(end))
                {
                    return length;
                }
            }
        }

        return 0;
    }
}

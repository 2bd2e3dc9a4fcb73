using System.Text.Json;

namespace TraceDistill.Teachers.Wire;

/// <summary>Reads <c>choices[0].logprobs</c> straight into columns: no object is made for a token.</summary>
/// <param name="json">The response, or the piece of it, that they stand in.</param>
/// <param name="tokens">Takes them.</param>
ref struct LogprobsReader(ReadOnlySpan<byte> json, LogprobTokens tokens)
{
    readonly ReadOnlySpan<byte> _json = json;
    readonly LogprobTokens _tokens = tokens;
    readonly LogprobColumns _columns = tokens.Columns;

    // Where the bytes that the JSON reader sees begin.
    int _seenFrom = 0;

    /// <summary>Reads the object that the reader stands before.</summary>
    public void Read(ref Utf8JsonReader reader)
    {
        if (!reader.EnterValue(JsonTokenType.StartObject, "choices[0].logprobs"))
        {
            return;
        }

        var start = _columns.Count;
        while (reader.NextMember())
        {
            var isReasoning = reader.ValueTextEquals("reasoning_content"u8);
            if (!isReasoning && !reader.ValueTextEquals("content"u8))
            {
                reader.SkipValue();
            }
            else if (reader.EnterValue(JsonTokenType.StartArray, "choices[0].logprobs.content"))
            {
                var before = _columns.Count;
                _tokens.Found = true;
                ReadTokens(ref reader);

                // DeepSeek lists the reasoning apart: it was generated first, wherever it stands.
                if (isReasoning)
                {
                    _columns.MoveToEnd(start, before - start);
                }
            }
        }
    }

    void ReadTokens(ref Utf8JsonReader reader)
    {
        var (before, naming, listed, isEndUntold) = (_columns.Count, _tokens.Naming, _tokens.Listed, _tokens.IsEndUntold);
        var scanner = new LogprobScanner(_json, _seenFrom + (int)reader.BytesConsumed);
        if (TryScan(ref scanner))
        {
            // For the reader, the list was empty.
            _seenFrom = scanner.Position;
            reader = new Utf8JsonReader(_json[_seenFrom..], isFinalBlock: true, reader.CurrentState);
            reader.Read();
            return;
        }

        _columns.Truncate(before);
        (_tokens.Naming, _tokens.Listed, _tokens.IsEndUntold) = (naming, listed, isEndUntold);
        while (reader.NextElement())
        {
            ReadToken(ref reader);
        }
    }

    /// <summary>Reads all tokens up to the bracket that ends the list; false where a JSON reader has to.</summary>
    bool TryScan(ref LogprobScanner scanner)
    {
        var start = scanner.Position;
        do
        {
            var token = new LogprobEntry();
            if (!scanner.Take((byte)'{') || !TryScanToken(ref scanner, ref token) || !token.HasLogprob)
            {
                return false;
            }

            EndToken(token);
            if (_columns.Count == 1)
            {
                _columns.Expect((_json.Length - start) / (scanner.Position - start));
            }
        } while (scanner.Take((byte)','));

        return scanner.StandsBefore((byte)']');
    }

    bool TryScanToken(ref LogprobScanner scanner, ref LogprobEntry token)
    {
        while (scanner.TryReadMembers(ref token, out var next))
        {
            if (next == LogprobScanner.AfterMembers.End)
            {
                return true;
            }

            if (!TryScanAlternatives(ref scanner))
            {
                return false;
            }

            if (scanner.Take((byte)'}'))
            {
                return true;
            }

            if (!scanner.Take((byte)','))
            {
                return false;
            }
        }

        return false;
    }

    bool TryScanAlternatives(ref LogprobScanner scanner)
    {
        if (!scanner.Take((byte)'['))
        {
            return false;
        }

        if (scanner.Take((byte)']'))
        {
            return true;
        }

        do
        {
            var alternative = new LogprobEntry();
            if (
                !scanner.Take((byte)'{')
                || !scanner.TryReadMembers(ref alternative, out var next)
                || next != LogprobScanner.AfterMembers.End
                || !alternative.HasLogprob
            )
            {
                return false;
            }

            AddAlternative(alternative);
        } while (scanner.Take((byte)','));

        return scanner.Take((byte)']');
    }

    void ReadToken(ref Utf8JsonReader reader)
    {
        reader.Expect(JsonTokenType.StartObject, "logprobs.content[]");
        var token = new LogprobEntry();
        while (reader.NextMember())
        {
            if (token.TryReadMember(ref reader))
            {
                continue;
            }

            if (!reader.ValueTextEquals("top_logprobs"u8))
            {
                reader.SkipValue();
            }
            else if (reader.EnterValue(JsonTokenType.StartArray, "logprobs.content[].top_logprobs"))
            {
                while (reader.NextElement())
                {
                    ReadAlternative(ref reader);
                }
            }
        }

        token.BytesStart += token.HasBytes ? _seenFrom : 0;
        EndToken(token);
    }

    void EndToken(in LogprobEntry token)
    {
        _tokens.Listed++;
        if (_tokens.IsEndUntold)
        {
            _tokens.Spoil("returned a token without a name among others");
        }

        if (IsNothing(token))
        {
            _tokens.IsEndUntold = true;
            return;
        }

        if (!token.HasLogprob || token.Problem is not null)
        {
            _tokens.Spoil(token.Problem ?? "returned a token without a logprob");
        }

        if (Identify(token) is { } id)
        {
            _columns.EndRow(id, token.Logprob);
            return;
        }

        // One token without a name leaves a gap that no later step could close.
        var isPartial = _tokens.Naming == TokenNaming.Bytes || _columns.Count > 0;
        _tokens.Spoil(
            _tokens.Naming == TokenNaming.Ids ? "returned a token without an id, though others have one"
                : isPartial ? "names tokens that are parts of characters by their text alone"
                : "names tokens by their text alone",
            isPartial: isPartial && _tokens.Naming != TokenNaming.Ids
        );
    }

    /// <summary>Returns whether an entry has neither a name nor a probability nor alternatives.</summary>
    readonly bool IsNothing(in LogprobEntry token) =>
        token is { Id: null, HasLogprob: true, Problem: null, Logprob: <= LogprobColumns.Floor }
        && !_columns.HasAlternatives
        && (!token.HasBytes || _json[(token.BytesStart + 1)..].TrimStart(" \t\r\n"u8).StartsWith("]"u8));

    void ReadAlternative(ref Utf8JsonReader reader)
    {
        reader.Expect(JsonTokenType.StartObject, "logprobs.content[].top_logprobs[]");
        var alternative = new LogprobEntry();
        while (reader.NextMember())
        {
            if (!alternative.TryReadMember(ref reader))
            {
                reader.SkipValue();
            }
        }

        if (!alternative.HasLogprob)
        {
            // It joins the tail mass.
            return;
        }

        if (alternative.Problem is { } problem)
        {
            _tokens.Spoil(problem);
        }

        alternative.BytesStart += alternative.HasBytes ? _seenFrom : 0;
        AddAlternative(alternative);
    }

    /// <summary>An alternative that cannot be named joins the tail mass.</summary>
    void AddAlternative(in LogprobEntry alternative)
    {
        if (Identify(alternative) is { } id)
        {
            _columns.AddAlternative(id, alternative.Logprob);
        }
    }

    /// <summary>The number that stands for a token: its id, or its place in the table of bytes; null where it has neither.</summary>
    int? Identify(in LogprobEntry entry)
    {
        _tokens.Naming ??=
            entry.Id is not null ? TokenNaming.Ids
            : entry.HasBytes ? TokenNaming.Bytes
            : TokenNaming.Text;
        return _tokens.Naming switch
        {
            TokenNaming.Ids => entry.Id,
            TokenNaming.Bytes when entry.HasBytes => IdOfBytes(entry.BytesStart),
            _ => null,
        };
    }

    /// <param name="start">Of the array.</param>
    readonly int? IdOfBytes(int start)
    {
        Span<byte> bytes = stackalloc byte[256];
        var count = 0;
        var value = -1;
        for (var position = start + 1; position < _json.Length; position++)
        {
            switch (_json[position])
            {
                case >= (byte)'0' and <= (byte)'9' and var digit when count < bytes.Length:
                    value = (Math.Max(value, 0) * 10) + (digit - '0');
                    bytes[count] = value <= byte.MaxValue ? (byte)value : throw NoBytes(bytes.Length);
                    break;
                case (byte)',' when value >= 0:
                    (count, value) = (count + 1, -1);
                    break;
                case (byte)']' when value >= 0 || count == 0:
                    bytes = bytes[..(value < 0 ? 0 : count + 1)];

                    // U+FFFD where a token's bytes are no whole character: the true bytes are lost.
                    return bytes.IndexOf("\uFFFD"u8) >= 0 ? null : _tokens.Bytes.IdOf(bytes);
                case (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t':
                    break;
                default:
                    throw NoBytes(bytes.Length);
            }
        }

        throw NoBytes(bytes.Length);
    }

    readonly WireFormatException NoBytes(int most) =>
        new($"bytes of logprobs.content[{_columns.Count}] are not up to {most} numbers from 0 to 255");
}

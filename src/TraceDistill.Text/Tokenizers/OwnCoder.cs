using System.Collections.Concurrent;
using System.Text;
using TraceDistill.Text.Tokenizers.Pieces;

namespace TraceDistill.Text.Tokenizers;

/// <summary>Applies the rules here: byte-level BPE, and SentencePiece's with byte fallback.</summary>
sealed class OwnCoder : ITextCoder
{
    /// <summary>Encoders that no call is using: as many as there were calls at once.</summary>
    readonly ConcurrentBag<TextEncoder> _encoders = [];

    /// <summary>Encoders of text that stands within another; null where nothing is ever put before a text.</summary>
    readonly ConcurrentBag<TextEncoder>? _encodersWithin;

    readonly TokenVocabulary _vocabulary;
    readonly Func<bool, TextEncoder> _newEncoder;
    readonly TokenDecoder _decoder;
    readonly PostProcessor _postProcessor;

    public OwnCoder(TokenizerDefinition definition, TokenVocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _newEncoder = TextEncoder.FactoryFor(definition);
        _encodersWithin = definition.Normalizer.Prepends || definition.PreTokenizer.Prepends ? [] : null;
        (_decoder, _postProcessor) = (definition.Decoder, definition.PostProcessor);
    }

    public bool Prepends => _encodersWithin is not null;

    public bool HasExactBytes => true;

    public void Encode(string text, List<int> ids, bool addSpecialTokens) => Encode(text, ids, addSpecialTokens, recorder: null);

    public TokenizedText EncodeWithSpans(string text, bool addSpecialTokens)
    {
        var (ids, recorder) = (new List<int>((text.Length / 3) + 8), new SpanRecorder(text));
        Encode(text, ids, addSpecialTokens, recorder);
        var (offsets, first) = (recorder.Offsets, addSpecialTokens ? _postProcessor.Prefix.Count : 0);
        for (var i = 0; i < ids.Count; i++)
        {
            offsets[i] = _postProcessor.Trimming?.Trim(offsets[i], _vocabulary.GetBytes(ids[i]), _vocabulary.IsAdded(ids[i]), i == first)
                ?? offsets[i];
        }

        return new TokenizedText
        {
            Ids = ids,
            ByteSpans = recorder.ByteSpans,
            Offsets = offsets,
        };
    }

    public int[][] EncodeWithin(IReadOnlyList<string> texts)
    {
        var (encoders, isWithin) = (_encodersWithin ?? _encoders, _encodersWithin is not null);
        var encoder = encoders.TryTake(out var idle) ? idle : _newEncoder(isWithin);
        var ids = new List<int>();
        var result = new int[texts.Count][];
        foreach (var (index, text) in texts.Index())
        {
            ids.Clear();
            encoder.Encode(text, ids, recorder: null);
            result[index] = [.. ids];
        }

        encoders.Add(encoder);
        return result;
    }

    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens)
    {
        if (!_decoder.IsByteLevel)
        {
            var tokens = new List<string>(ids.Length);
            foreach (var id in ids)
            {
                if (!(skipSpecialTokens && _vocabulary.IsSpecial(id)) && _vocabulary.SpellingOf(id) is { } token)
                {
                    tokens.Add(token);
                }
            }

            return _decoder.Decode(tokens);
        }

        var length = 0;
        foreach (var id in ids)
        {
            length += skipSpecialTokens && _vocabulary.IsSpecial(id) ? 0 : _vocabulary.GetDecodedBytes(id).Length;
        }

        var bytes = new byte[length];
        var end = 0;
        foreach (var id in ids)
        {
            if (skipSpecialTokens && _vocabulary.IsSpecial(id))
            {
                continue;
            }

            var token = _vocabulary.GetDecodedBytes(id);
            token.CopyTo(bytes.AsSpan(end));
            end += token.Length;
        }

        return Encoding.UTF8.GetString(bytes);
    }

    void Encode(string text, List<int> ids, bool addSpecialTokens, SpanRecorder? recorder)
    {
        if (addSpecialTokens)
        {
            ids.AddRange(_postProcessor.Prefix);
            recorder?.AddAround(_postProcessor.Prefix.Count, position: 0);
        }

        var encoder = _encoders.TryTake(out var idle) ? idle : _newEncoder(false);
        encoder.Encode(text, ids, recorder);
        _encoders.Add(encoder);
        if (addSpecialTokens)
        {
            ids.AddRange(_postProcessor.Suffix);
            recorder?.AddAround(_postProcessor.Suffix.Count, text.Length);
        }
    }
}

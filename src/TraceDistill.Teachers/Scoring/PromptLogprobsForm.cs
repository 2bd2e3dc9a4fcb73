using System.Buffers;
using System.Globalization;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Scoring;

/// <summary>
/// vLLM's <c>prompt_logprobs</c>: a list with one map for each token of the prompt, from ids to <c>{logprob, rank, decoded_token}</c>; null
/// for the first one. The prompt's own token stands first in its map, whether or not it is among the best.
/// </summary>
sealed class PromptLogprobsForm : IScoringForm
{
    const string Member = "prompt_logprobs";

    public static PromptLogprobsForm Instance { get; } = new();

    public string Name => Member;

    public string Route => "completions";

    public ReadOnlyMemory<byte> Write(ScoringCall call)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using var json = new Utf8JsonWriter(buffer, JsonFile.Plain);
        json.WriteStartObject();
        CompletionFields.Write(json, call);
        json.WriteNumber(Member, call.TopLogprobs);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    public (ScoredTokens Tokens, int Start) Read(ReadOnlySpan<byte> json, ScoringCall call) =>
        (ResponseJson.Read(json, whole => new Reader(call).Read(whole)), 0);

    /// <param name="call">What was sent.</param>
    ref struct Reader(ScoringCall call)
    {
        readonly ScoredTokens _tokens = new(call.TopLogprobs);

        /// <summary>
        /// Of each position, the entries of the token that it is to read there and of the one before that, which it is where the server
        /// puts one in front unasked; null where it has none.
        /// </summary>
        readonly List<(Entry? Own, Entry? Before)> _own = [];
        bool _isFound;
        bool _isSorted = true;

        public ScoredTokens Read(ReadOnlySpan<byte> json)
        {
            var reader = new Utf8JsonReader(json);
            reader.Read();
            reader.Expect(JsonTokenType.StartObject, "the response");
            while (reader.NextMember())
            {
                if (reader.ValueTextEquals("choices"u8) && reader.EnterValue(JsonTokenType.StartArray, "choices"))
                {
                    ReadChoices(ref reader);
                }
                else if (reader.TokenType == JsonTokenType.PropertyName && !TryReadMember(ref reader))
                {
                    reader.SkipValue();
                }
            }

            // Bytes after the end of the object are an error too; Read finds them.
            reader.Read();
            TakeSorted();
            return _tokens;
        }

        /// <summary>
        /// The first member of a map is the prompt's token. Where the members of all maps are sorted, some writer of JSON has done that on
        /// the way, as some do with names that are numbers, and the prompt's is the one that was sent, if it is there.
        /// </summary>
        readonly void TakeSorted()
        {
            for (var i = 0; _isSorted && i < _own.Count; i++)
            {
                if ((_own.Count > call.Read.Length ? _own[i].Before : _own[i].Own) is { } own)
                {
                    _tokens.Rename(i, new ScoredToken(own.Id, own.Text), own.Logprob, own.Problem);
                }
            }
        }

        void ReadChoices(ref Utf8JsonReader reader)
        {
            while (reader.NextElement())
            {
                reader.Expect(JsonTokenType.StartObject, "choices[0]");
                while (reader.NextMember())
                {
                    if (!TryReadMember(ref reader))
                    {
                        reader.SkipValue();
                    }
                }
            }
        }

        /// <summary>Completions have the list in the choice, chat completions beside the choices.</summary>
        bool TryReadMember(ref Utf8JsonReader reader)
        {
            if (reader.ValueTextEquals("usage"u8))
            {
                CompletionFields.ReadUsage(ref reader, _tokens);
                return true;
            }

            if (_isFound || !reader.ValueTextEquals("prompt_logprobs"u8))
            {
                return false;
            }

            if (reader.EnterValue(JsonTokenType.StartArray, Member))
            {
                _isFound = true;
                while (reader.NextElement())
                {
                    ReadToken(ref reader);
                }
            }

            return true;
        }

        void ReadToken(ref Utf8JsonReader reader)
        {
            var position = _tokens.Tokens.Count;
            if (reader.TokenType == JsonTokenType.Null)
            {
                _tokens.End(new ScoredToken(-1), logprob: null);
                _own.Add(default);
                return;
            }

            reader.Expect(JsonTokenType.StartObject, $"{Member}[]");
            var (first, own, before, last) = (default(Entry?), default(Entry?), default(Entry?), -1);
            while (reader.NextMember())
            {
                var entry = ReadEntry(ref reader);
                first ??= entry;
                own = entry.Id == IdAt(position) ? entry : own;
                before = entry.Id == IdAt(position - 1) ? entry : before;
                (_isSorted, last) = (_isSorted && entry.Id > last, entry.Id);
                if (entry.Logprob is { } logprob)
                {
                    _tokens.AddAlternative(entry.Id, logprob);
                }
            }

            var token = first ?? throw new WireFormatException($"{Member}[{position}] is empty");
            _own.Add((own, before));

            // The prompt's own token is in the map whether or not it is among the alternatives.
            _tokens.End(new ScoredToken(token.Id, token.Text), token.Logprob, token.Problem, least: Math.Min(2, call.TopLogprobs));
        }

        readonly int IdAt(int position) => position >= 0 && position < call.Read.Length ? call.Read[position] : -1;

        static Entry ReadEntry(ref Utf8JsonReader reader)
        {
            var id = int.TryParse(reader.GetString(), NumberStyles.None, CultureInfo.InvariantCulture, out var named)
                ? named
                : throw new WireFormatException($"{Member}[] has a name that is no token id");
            reader.Read();
            reader.Expect(JsonTokenType.StartObject, $"{Member}[].{id}");
            var entry = new Entry(id, Logprob: null, Text: null, Problem: null);
            while (reader.NextMember())
            {
                if (reader.ValueTextEquals("logprob"u8))
                {
                    reader.Read();
                    var (isKnown, logprob, problem) = LogprobEntry.ReadLogprob(ref reader);
                    entry = entry with { Logprob = isKnown ? logprob : null, Problem = problem };
                }
                else if (reader.ValueTextEquals("decoded_token"u8))
                {
                    entry = entry with { Text = reader.NameValue() };
                }
                else
                {
                    reader.SkipValue();
                }
            }

            return entry;
        }

        readonly record struct Entry(int Id, float? Logprob, string? Text, string? Problem);
    }
}

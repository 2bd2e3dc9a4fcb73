using System.Collections.Concurrent;
using System.Text;
using System.Text.Unicode;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Training.Alignment;

/// <summary>
/// Spelling in a student's tokens of each token of a teacher with another vocabulary: the student's tokens whose bytes, one after the
/// other, are the teacher's.
/// </summary>
/// <remarks>
/// <para>
/// A token of the same bytes is taken where the student has one (of the same id, where several have them), else the
/// student's own encoding of the token's text as it stands within a text. A byte that stands in for a character
/// without a token (<c>&lt;0x38&gt;</c>) is no match for the character itself where the student has a token for it.
/// </para>
/// <para>
/// Bytes that are no text and no token of the student's have no spelling; nor has a special
/// token, unless the student has one of the same name: control tokens are no text. Whatever ends
/// a teacher's generation is spelled by what ends the student's. Safe to use from any thread.
/// </para>
/// </remarks>
public sealed class VocabularyMap
{
    readonly Tokenizer _student;
    readonly int[] _starts;
    readonly int[] _ids;

    /// <summary>Spellings at a place where the student puts a space before a text; few rows of a trace ask.</summary>
    readonly ConcurrentDictionary<int, int[]> _prefixed = [];

    /// <summary>
    /// Spellings without the space that a teacher puts before a text, at a place where the student puts one (true) or none.
    /// </summary>
    readonly ConcurrentDictionary<(int Id, bool IsPrefixed), int[]> _unmarked = [];

    /// <param name="teacher">Gives the tokens.</param>
    /// <param name="student">Spells them.</param>
    /// <param name="end">The token that ends each of the student's generations.</param>
    public VocabularyMap(Tokenizer teacher, Tokenizer student, int end)
    {
        (Teacher, _student) = (teacher, student);
        _starts = new int[teacher.VocabularySize + 1];
        var ids = new List<int>(teacher.VocabularySize * 2);
        var (tokens, fallbacks) = (TokensByBytes(student, areFallbacks: false), TokensByBytes(student, areFallbacks: true));
        int[]?[] spellings =
        [
            .. Enumerable.Range(0, teacher.VocabularySize).Select(id => teacher.EndOfSequenceIds.Contains(id) ? [end] : Match(id, tokens)),
        ];
        Encode(spellings, fallbacks);
        foreach (var (id, spelling) in spellings.Index())
        {
            ids.AddRange(spelling!);
            _starts[id + 1] = ids.Count;
        }

        _ids = [.. ids];
    }

    /// <summary>The teacher's tokenizer.</summary>
    public Tokenizer Teacher { get; }

    /// <summary>
    /// The student's tokens that spell the teacher's token; empty where it has no spelling, or where the id names no token (a padded row).
    /// </summary>
    public ReadOnlySpan<int> Of(int teacherId) =>
        (uint)teacherId < (uint)Teacher.VocabularySize ? _ids.AsSpan(_starts[teacherId].._starts[teacherId + 1]) : [];

    /// <summary>As <see cref="Of"/> where the student's text begins, and it puts a space before it: SentencePiece's <c>▁</c>.</summary>
    public ReadOnlySpan<int> OfPrefixed(int teacherId)
    {
        if ((uint)teacherId >= (uint)Teacher.VocabularySize || Teacher.EndOfSequenceIds.Contains(teacherId) || Teacher.IsSpecial(teacherId))
        {
            return Of(teacherId);
        }

        return _prefixed.GetOrAdd(teacherId, id =>
        {
            var bytes = Teacher.GetBytes(id);
            return bytes.IsEmpty || !Utf8.IsValid(bytes)
                ? []
                : Verified(_student.Encode(Encoding.UTF8.GetString(bytes)), [(byte)' ', .. bytes]);
        });
    }

    /// <summary>
    /// As <see cref="Of"/> or <see cref="OfPrefixed"/> where the teacher's text begins, and a space before it is the teacher's tokenizer's:
    /// SentencePiece's <c>▁</c>, which is no part of the text.
    /// </summary>
    public ReadOnlySpan<int> OfUnmarked(int teacherId, bool isPrefixed)
    {
        var bytes = Teacher.GetBytes(teacherId);
        if (bytes.IsEmpty || bytes[0] != ' ' || Teacher.IsSpecial(teacherId) || Teacher.EndOfSequenceIds.Contains(teacherId))
        {
            return isPrefixed ? OfPrefixed(teacherId) : Of(teacherId);
        }

        return _unmarked.GetOrAdd((teacherId, isPrefixed), key =>
        {
            var rest = Teacher.GetBytes(key.Id)[1..];
            if (rest.IsEmpty || !Utf8.IsValid(rest))
            {
                return [];
            }

            var text = Encoding.UTF8.GetString(rest);
            return key.IsPrefixed ? Verified(_student.Encode(text), [(byte)' ', .. rest]) : Verified(_student.EncodeWithin(text), rest);
        });
    }

    /// <summary>
    /// The one token of the same bytes, or nothing where there can be none; null where the student may spell it with several.
    /// </summary>
    int[]? Match(int id, Dictionary<string, int> tokens)
    {
        var bytes = Teacher.GetBytes(id);
        if (bytes.IsEmpty)
        {
            return [];
        }

        if (Teacher.IsSpecial(id))
        {
            return _student.TryGetId(Encoding.UTF8.GetString(bytes), out var same) && _student.IsSpecial(same) ? [same] : [];
        }

        if (
            !_student.IsSpecial(id)
            && _student.GetBytes(id).SequenceEqual(bytes)
            && (Teacher.IsByteFallback(id) || !_student.IsByteFallback(id))
        )
        {
            return [id];
        }

        return tokens.TryGetValue(Key(bytes), out var match) ? [match] : null;
    }

    /// <summary>Fills in the spellings by several tokens, all of them in one go.</summary>
    void Encode(int[]?[] spellings, Dictionary<string, int> fallbacks)
    {
        int[] missing = [.. Enumerable.Range(0, spellings.Length).Where(id => spellings[id] is null)];
        int[] texts = [.. missing.Where(id => Utf8.IsValid(Teacher.GetBytes(id)))];
        var encoded = _student.EncodeWithin([.. texts.Select(id => Encoding.UTF8.GetString(Teacher.GetBytes(id)))]);
        foreach (var (id, ids) in texts.Zip(encoded))
        {
            spellings[id] = Verified(ids, Teacher.GetBytes(id));
        }

        foreach (var id in missing)
        {
            spellings[id] =
                spellings[id] is { Length: > 0 } spelling ? spelling
                : fallbacks.TryGetValue(Key(Teacher.GetBytes(id)), out var fallback) ? [fallback]
                : [];
        }
    }

    /// <summary>
    /// The ids where their bytes are those that were to be spelled: a tokenizer that changes a text spells something else.
    /// </summary>
    int[] Verified(int[] ids, ReadOnlySpan<byte> bytes)
    {
        foreach (var id in ids)
        {
            if (_student.IsSpecial(id) || !bytes.StartsWith(_student.GetBytes(id)))
            {
                return [];
            }

            bytes = bytes[_student.GetBytes(id).Length..];
        }

        return bytes.IsEmpty ? ids : [];
    }

    static Dictionary<string, int> TokensByBytes(Tokenizer tokenizer, bool areFallbacks)
    {
        var tokens = new Dictionary<string, int>(areFallbacks ? 256 : tokenizer.VocabularySize, StringComparer.Ordinal);
        for (var id = 0; id < tokenizer.VocabularySize; id++)
        {
            if (!tokenizer.IsSpecial(id) && !tokenizer.GetBytes(id).IsEmpty && tokenizer.IsByteFallback(id) == areFallbacks)
            {
                tokens.TryAdd(Key(tokenizer.GetBytes(id)), id);
            }
        }

        return tokens;
    }

    /// <summary>One character a byte.</summary>
    static string Key(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);
}

using System.Text;
using System.Text.Unicode;
using TraceDistill.Core.Tokenization;

namespace TraceDistill.Core.Alignment;

/// <summary>How a student spells each token of a teacher with another vocabulary: the student's tokens whose bytes, one after the other, are the teacher's.</summary>
/// <remarks>
/// A token of the same bytes is taken where the student has one (of the same id, where several have them), else the student's own encoding of the
/// token's text. Bytes that are no text and no token of the student's have no spelling; nor has a special token, unless the student has one of the same
/// name: control tokens are no text. Whatever ends a teacher's generation is spelled by what ends the student's. Immutable.
/// </remarks>
public sealed class VocabularyMap
{
    readonly Tokenizer _student;
    readonly int[] _starts;
    readonly int[] _ids;

    /// <param name="teacher">Gives the tokens.</param>
    /// <param name="student">Spells them.</param>
    /// <param name="end">The token that ends each of the student's generations.</param>
    public VocabularyMap(Tokenizer teacher, Tokenizer student, int end)
    {
        (Teacher, _student) = (teacher, student);
        _starts = new int[teacher.VocabularySize + 1];
        var ids = new List<int>(teacher.VocabularySize * 2);
        var byBytes = TokensByBytes(student);
        for (var id = 0; id < teacher.VocabularySize; id++)
        {
            ids.AddRange(teacher.EndOfSequenceIds.Contains(id) ? [end] : Spell(id, byBytes));
            _starts[id + 1] = ids.Count;
        }

        _ids = [.. ids];
    }

    /// <summary>The teacher's tokenizer.</summary>
    public Tokenizer Teacher { get; }

    /// <summary>The student's tokens that spell the teacher's token; empty where it has no spelling, or where the id names no token (a padded row).</summary>
    public ReadOnlySpan<int> Of(int teacherId) => (uint)teacherId < (uint)Teacher.VocabularySize ? _ids.AsSpan(_starts[teacherId].._starts[teacherId + 1]) : [];

    int[] Spell(int id, Dictionary<string, int> byBytes)
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

        if (!_student.IsSpecial(id) && _student.GetBytes(id).SequenceEqual(bytes))
        {
            return [id];
        }

        return byBytes.TryGetValue(Key(bytes), out var match) ? [match] : Encode(bytes);
    }

    int[] Encode(ReadOnlySpan<byte> bytes)
    {
        if (!Utf8.IsValid(bytes))
        {
            return [];
        }

        var ids = _student.Encode(Encoding.UTF8.GetString(bytes));
        var rest = bytes;
        foreach (var id in ids)
        {
            // A tokenizer that puts something before a text, or changes it, spells something else.
            if (_student.IsSpecial(id) || !rest.StartsWith(_student.GetBytes(id)))
            {
                return [];
            }

            rest = rest[_student.GetBytes(id).Length..];
        }

        return rest.IsEmpty ? ids : [];
    }

    static Dictionary<string, int> TokensByBytes(Tokenizer tokenizer)
    {
        var tokens = new Dictionary<string, int>(tokenizer.VocabularySize, StringComparer.Ordinal);
        for (var id = 0; id < tokenizer.VocabularySize; id++)
        {
            if (!tokenizer.IsSpecial(id) && !tokenizer.GetBytes(id).IsEmpty)
            {
                tokens.TryAdd(Key(tokenizer.GetBytes(id)), id);
            }
        }

        return tokens;
    }

    /// <summary>One character a byte.</summary>
    static string Key(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);
}

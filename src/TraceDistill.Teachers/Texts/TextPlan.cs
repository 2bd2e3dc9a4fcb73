using System.Security.Cryptography;
using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Collection;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Texts;

/// <summary>A text to be scored.</summary>
/// <param name="Position">Its row in the source.</param>
/// <param name="Trace">The row.</param>
sealed record PlannedText(int Position, Trace Trace);

/// <summary>All rows of a source, in its order: each is to stand in the data set once.</summary>
sealed class TextPlan : ITracePlan
{
    readonly ITextSource _source;

    TextPlan(ITextSource source, TraceKey[] keys) => (_source, Keys) = (source, keys);

    public TraceKey[] Keys { get; }

    /// <exception cref="InvalidInputException">The source cannot be read, has no rows, or two of them have one id.</exception>
    public static async Task<TextPlan> CreateAsync(ITextSource source, CancellationToken cancellationToken)
    {
        var (keys, known) = (new List<TraceKey>(), new Dictionary<TraceKey, int>());
        await foreach (var id in source.ReadIdsAsync(cancellationToken))
        {
            var key = TraceKey.Of(id);
            if (!known.TryAdd(key, keys.Count))
            {
                throw new InvalidInputException(
                    $"{source.Path}: rows {known[key] + 1} and {keys.Count + 1} are both trace {id}; a row is known by its id: keep one"
                );
            }

            keys.Add(key);
        }

        return keys.Count > 0
            ? new TextPlan(source, [.. keys])
            : throw new InvalidInputException(
                $"{source.Path}: no problem has a worked solution to be scored; name the field that holds it with solution_field"
            );
    }

    /// <summary>The rows at the positions that are wanted, in order.</summary>
    /// <exception cref="InvalidInputException">The source is no longer the one that the plan was made of.</exception>
    public IAsyncEnumerable<PlannedText> ReadAsync(Predicate<int> isWanted, CancellationToken cancellationToken) =>
        _source
            .ReadAsync(isWanted, cancellationToken)
            .Select(row =>
                row.Position < Keys.Length && TraceKey.Of(row.Trace.Id) == Keys[row.Position]
                    ? new PlannedText(row.Position, row.Trace)
                    : throw new InvalidInputException($"{_source.Path}: was changed while it was scored; run the same command again")
            );

    /// <summary>Finds rows that were scored and are others in the source by now. A source that only grew has none.</summary>
    /// <param name="there">Rows that are there.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public async Task<IReadOnlyList<TraceKey>> FindChangedAsync(IAsyncEnumerable<Trace> there, CancellationToken cancellationToken)
    {
        var known = new Dictionary<TraceKey, TraceKey>();
        await foreach (var row in there.WithCancellation(cancellationToken))
        {
            known[TraceKey.Of(row.Id)] = DigestOf(row);
        }

        return await ReadAsync(position => known.ContainsKey(Keys[position]), cancellationToken)
            .Where(text => known[Keys[text.Position]] != DigestOf(text.Trace))
            .Select(text => Keys[text.Position])
            .ToListAsync(cancellationToken);
    }

    /// <summary>Digest of all that a scored row has from its source.</summary>
    static TraceKey DigestOf(Trace row) =>
        TraceKey.Read(
            SHA256.HashData(
                JsonSerializer.SerializeToUtf8Bytes(
                    row with
                    {
                        Logprobs = null,
                        PromptTokenIds = [],
                        PromptTokens = 0,
                        CompletionTokens = 0,
                    }
                )
            )
        );

    /// <inheritdoc/>
    public async Task<string?> DescribeLeftOverAsync(IAsyncEnumerable<Trace> leftOver, bool isKnown, CancellationToken cancellationToken) =>
        await leftOver.CountAsync(cancellationToken) is > 0 and var count
            ? $"holds {Counted.Of(count, "trace")} that {(count == 1 ? "is" : "are")} not in {_source.Path} as it is read now"
            : null;
}

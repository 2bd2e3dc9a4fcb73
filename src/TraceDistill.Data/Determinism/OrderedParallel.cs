using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace TraceDistill.Data.Determinism;

/// <summary>Work on the items of a sequence that all processors share, and whose results keep their order.</summary>
public static class OrderedParallel
{
    const int AtATime = 128;

    /// <summary>Maps each item, a few hundred ahead of what is read of the result.</summary>
    /// <param name="source">The items.</param>
    /// <param name="map">
    /// Called by several threads at once. What it throws is thrown in the item's place, after the results before it.
    /// </param>
    /// <param name="cancellationToken">Ends reading.</param>
    public static async IAsyncEnumerable<TResult> MapInOrderAsync<TSource, TResult>(
        this IAsyncEnumerable<TSource> source,
        Func<TSource, TResult> map,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        var pending = new Queue<Task<Mapped<TResult>>>();
        await foreach (var chunk in source.Chunk(AtATime).WithCancellation(cancellationToken))
        {
            pending.Enqueue(Task.Run(() => Map(chunk, map), CancellationToken.None));
            if (pending.Count > Environment.ProcessorCount)
            {
                foreach (var result in (await pending.Dequeue()).ThrowAtEnd())
                {
                    yield return result;
                }
            }
        }

        while (pending.TryDequeue(out var rest))
        {
            foreach (var result in (await rest).ThrowAtEnd())
            {
                yield return result;
            }
        }
    }

    static Mapped<TResult> Map<TSource, TResult>(TSource[] chunk, Func<TSource, TResult> map)
    {
        var results = new List<TResult>(chunk.Length);
        try
        {
            foreach (var item in chunk)
            {
                results.Add(map(item));
            }
            return new Mapped<TResult>(results, Failure: null);
        }
        catch (Exception failure)
        {
            return new Mapped<TResult>(results, ExceptionDispatchInfo.Capture(failure));
        }
    }

    readonly record struct Mapped<TResult>(List<TResult> Results, ExceptionDispatchInfo? Failure)
    {
        public IEnumerable<TResult> ThrowAtEnd()
        {
            foreach (var result in Results)
            {
                yield return result;
            }
            Failure?.Throw();
        }
    }
}

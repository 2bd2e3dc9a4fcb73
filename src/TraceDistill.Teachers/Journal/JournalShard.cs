using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;

namespace TraceDistill.Teachers.Journal;

/// <summary>A shard that the journal's traces have been moved into.</summary>
/// <param name="Number">Given once in the life of a journal; a later shard's traces take the place of an earlier one's.</param>
/// <param name="Entry">Its file as it was written, and what is in it.</param>
/// <param name="Published">The name that it gets, or has by now, in the data set; null before it is known.</param>
/// <param name="Counts">Counts of its traces by outcome.</param>
/// <param name="Keys">Its traces, in order.</param>
sealed record JournalShard(long Number, ShardEntry Entry, string? Published, TraceCounts Counts, TraceKey[] Keys);

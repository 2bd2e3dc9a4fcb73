namespace TraceDistill.Data.Shards;

/// <summary>Says that a data set holds a part of what was collected for it.</summary>
/// <param name="OnlyCorrect">True where it is the traces with a correct answer.</param>
/// <param name="Collected">Traces collected.</param>
/// <param name="LeftOut">Those of them that are not here.</param>
/// <param name="Folder">Where all of them are, beside the shards.</param>
public sealed record TraceSelection(bool OnlyCorrect, long Collected, long LeftOut, string Folder);

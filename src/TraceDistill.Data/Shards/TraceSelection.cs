namespace TraceDistill.Data.Shards;

/// <summary>Says that a data set holds a part of what was collected for it.</summary>
/// <param name="OnlyCorrect">True where it is the traces with a correct answer.</param>
/// <param name="Collected">Traces collected.</param>
/// <param name="LeftOut">Those of them that are not here.</param>
/// <param name="Folder">Where all of them are, beside the shards.</param>
/// <param name="MinAgreement">
/// Least fraction of a problem's samples that give the answer of a trace that is here; null where that was not asked for.
/// </param>
public sealed record TraceSelection(bool OnlyCorrect, long Collected, long LeftOut, string Folder, double? MinAgreement = null);

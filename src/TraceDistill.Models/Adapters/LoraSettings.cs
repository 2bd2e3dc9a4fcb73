namespace TraceDistill.Models.Adapters;

/// <summary>The shape of an adapter, in PEFT's words.</summary>
/// <param name="Rank">Rows of A and columns of B.</param>
/// <param name="Alpha">The product of B and A counts alpha / rank times.</param>
/// <param name="Dropout">Share of A's inputs that are set to zero in training.</param>
/// <param name="TargetModules">The linear layers that have an adapter, by the ends of their names.</param>
/// <param name="UseDora">True where the size of each row is learned apart from its direction.</param>
public sealed record LoraSettings(int Rank, int Alpha, double Dropout, IReadOnlyList<string> TargetModules, bool UseDora);

namespace TraceDistill.Cli.Tests.Structure;

/// <summary>Finds what keeps places (folders or projects) from forming a stack: groups of them that reach each other.</summary>
static class Layers
{
    /// <summary>
    /// One line for each group of places that use each other, with the types that make each arrow between them; none in a stack.
    /// </summary>
    /// <param name="references">Which types name which others.</param>
    /// <param name="placeOf">Where a type lies.</param>
    public static IEnumerable<string> Cycles(IEnumerable<TypeReference> references, Func<Type, string> placeOf)
    {
        var arrows = references
            .Select(reference => (Reference: reference, From: placeOf(reference.From), To: placeOf(reference.To)))
            .Where(arrow => arrow.From != arrow.To)
            .GroupBy(arrow => (arrow.From, arrow.To), arrow => arrow.Reference)
            .ToDictionary(arrow => arrow.Key, arrow => arrow.ToList());
        var reached = arrows
            .Keys.SelectMany(arrow => new[] { arrow.From, arrow.To })
            .Distinct()
            .ToDictionary(place => place, place => Reachable(place, arrows.Keys));
        return reached
            .Keys.Where(place => reached[place].Contains(place))
            .GroupBy(place =>
                string.Join(", ", reached.Keys.Where(other => reached[place].Contains(other) && reached[other].Contains(place)).Order())
            )
            .OrderBy(group => group.Key, StringComparer.Ordinal)
            .Select(group => Describe([.. group.Order(StringComparer.Ordinal)], arrows));
    }

    static HashSet<string> Reachable(string start, IEnumerable<(string From, string To)> arrows)
    {
        var (reached, open) = (new HashSet<string>(), new Queue<string>([start]));
        var next = arrows.ToLookup(arrow => arrow.From, arrow => arrow.To);
        while (open.TryDequeue(out var place))
        {
            foreach (var to in next[place].Where(reached.Add))
            {
                open.Enqueue(to);
            }
        }

        return reached;
    }

    static string Describe(IReadOnlyList<string> places, Dictionary<(string From, string To), List<TypeReference>> arrows)
    {
        var lines =
            from arrow in arrows
            where places.Contains(arrow.Key.From) && places.Contains(arrow.Key.To)
            orderby arrow.Value.Count, arrow.Key
            select $"  {arrow.Key.From} -> {arrow.Key.To}: "
                + string.Join(", ", arrow.Value.Take(6).Select(r => $"{r.From.Name} names {r.To.Name}"))
                + (arrow.Value.Count > 6 ? $" and {arrow.Value.Count - 6} more" : "");
        return $"{string.Join(", ", places)} use each other:\n{string.Join('\n', lines)}";
    }
}

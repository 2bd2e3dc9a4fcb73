using System.Globalization;
using System.Text;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Shards;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Text.Files;
using TraceDistill.Training.Distillation;

namespace TraceDistill.Cli.Synthesis;

/// <summary>What a search leaves for others: the problems that it kept, the teacher's right traces of them, and where it went.</summary>
/// <param name="options">Say how.</param>
/// <param name="folder">Where to.</param>
/// <param name="answers">Tell which traces are right.</param>
sealed class SynthesisPublication(SynthesizeOptions options, SynthesisFolder folder, VerifiedAnswers answers)
{
    /// <param name="rounds">All of them.</param>
    /// <param name="kept">Problems that they kept, by id, with their answers.</param>
    /// <param name="cancellationToken">Stops and leaves the rounds as they are.</param>
    /// <returns>The manifest of the traces.</returns>
    public async Task<ShardManifest> WriteAsync(
        IReadOnlyList<SynthesisRound> rounds,
        IReadOnlyDictionary<string, Problem> kept,
        CancellationToken cancellationToken
    )
    {
        // Last comes the manifest, by which the others are complete: one of an earlier publication is none of these.
        File.Delete(Path.Combine(folder.Output, ShardManifest.FileName));
        await ProblemWriter.WriteAsync(folder.Problems, kept.Values, cancellationToken);
        JsonFile.Write(folder.Data, rounds);
        AtomicFile.WriteAllText(folder.Table, Table(rounds));
        if ((options.Tokenizer ?? options.Serve) is { } tokenizer)
        {
            // A student from scratch takes its vocabulary from beside the traces.
            ModelDirectory.CopyTokenizer(tokenizer, Path.Combine(folder.Output, TrainStage.StoredTokenizer));
        }

        // And whoever evaluates a student asks it what it was taught.
        var task = await PromptSet.TaskOfAsync(SynthesisTeacher.AnsweringOf(options, folder.Problems), cancellationToken);
        task.Save(folder.Output);
        var source = ShardManifest.Load(folder.Round(1).Traces)!;
        await using var writer = await ShardWriter.CreateAsync(
            folder.Output,
            source.Dataset,
            new ShardWriterOptions { Layout = options.Layout },
            cancellationToken
        );
        var collected = 0L;
        foreach (var round in rounds)
        {
            var traces = SynthesisRoundFolder.ReadAsync(folder.Round(round.Round).Traces, softTargets: true, cancellationToken);
            await foreach (var trace in traces)
            {
                collected++;
                if (kept.TryGetValue(trace.ProblemId, out var problem) && answers.IsRight(trace))
                {
                    await writer.WriteAsync(
                        trace with
                        {
                            ExpectedAnswer = problem.Answer,
                            // What the samples agree on is the answer of a problem that nobody has solved.
                            Verdict = Verdict.Correct.ToName(),
                        },
                        cancellationToken
                    );
                }
            }
        }

        var selection = new TraceSelection(
            OnlyCorrect: true,
            collected,
            collected - writer.Rows,
            SynthesisFolder.Rounds,
            options.InventPrompt is null ? null : options.MinAgreement
        );
        return await writer.CompleteAsync(selection, source.Capabilities, cancellationToken);
    }

    /// <summary>A row for each place of the search, by round: share of candidates, disagreement of those compared, number kept.</summary>
    static string Table(IReadOnlyList<SynthesisRound> rounds)
    {
        var table = new StringBuilder("| family, level |");
        foreach (var round in rounds)
        {
            table.Append(CultureInfo.InvariantCulture, $" round {round.Round}: share | disagreement | kept |");
        }

        table.Append("\n| --- |").Insert(table.Length, " --- |", 3 * rounds.Count).Append('\n');
        for (var arm = 0; arm < rounds[0].Arms.Count; arm++)
        {
            var of = rounds[0].Arms[arm];
            table.Append(CultureInfo.InvariantCulture, $"| {of.Family}{(of.Level > 0 ? $", {of.Level}" : "")} |");
            foreach (var result in rounds.Select(round => round.Arms[arm]))
            {
                var disagreement = result.Compared == 0 ? "" : result.Disagreement.ToString("0.####", CultureInfo.InvariantCulture);
                table.Append(CultureInfo.InvariantCulture, $" {100 * result.Share:0.#} % | {disagreement} | {result.Kept} |");
            }

            table.Append('\n');
        }

        table.Append("| all |");
        foreach (var round in rounds)
        {
            table.Append(CultureInfo.InvariantCulture, $" {round.Candidates} tried | {round.Disagreement:0.####} | {round.Kept.Count} |");
        }

        return table.Append('\n').ToString();
    }
}

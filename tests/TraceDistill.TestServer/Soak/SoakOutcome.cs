using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Data.Traces;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Soak;

/// <summary>Traces and requests of a soak once it is over.</summary>
/// <param name="Traces">Traces published.</param>
/// <param name="Kills">Processes killed.</param>
/// <param name="Runs">Processes in all.</param>
/// <param name="Requests">Requests for traces that the server saw.</param>
/// <param name="RepeatedAfterCommit">Requests for traces that were on disk already.</param>
/// <param name="Violations">The first few broken promises in words; empty where all were kept.</param>
public sealed record SoakOutcome(int Traces, int Kills, int Runs, int Requests, int RepeatedAfterCommit, IReadOnlyList<string> Violations)
{
    const int MostTold = 10;

    internal static async Task<SoakOutcome> InspectAsync(
        string directory,
        int problems,
        int kills,
        int runs,
        List<SoakRequest> requests,
        CancellationToken cancellationToken
    )
    {
        var violations = new List<string>();
        var ids = new HashSet<string>();
        var reader = await ShardReader.OpenAsync(directory, new ShardReaderOptions { VerifyChecksums = true }, cancellationToken);
        await foreach (var trace in reader.ReadAsync(cancellationToken))
        {
            if (!ids.Add(trace.Id))
            {
                violations.Add($"trace {trace.Id} of {trace.ProblemId} is there twice");
            }

            if (Difference(trace) is { } difference)
            {
                violations.Add($"trace {trace.Id} of {trace.ProblemId} is not the server's answer: {difference}");
            }
        }

        if (ids.Count != problems)
        {
            violations.Add($"{ids.Count} traces of {problems} problems");
        }

        var asked = requests.Select(request => request.TraceId).ToHashSet();
        if (!asked.SetEquals(ids))
        {
            violations.Add($"{asked.Count} traces were asked for, {ids.Count} are there");
        }

        var repeated = requests.Count(request => request.WasCommitted);
        if (repeated > 0)
        {
            violations.Add($"{repeated} requests were repeated after their commit");
        }

        return new SoakOutcome(ids.Count, kills, runs, requests.Count, repeated, [.. violations.Take(MostTold)]);
    }

    /// <summary>Where a trace differs from what the server says to its request; null where it does not.</summary>
    static string? Difference(Trace trace)
    {
        var request = TeacherRequest.Parse(
            JsonSerializer.Serialize(
                new
                {
                    messages = trace.Messages.Select(turn => new { role = turn.Role, content = turn.Content }),
                    temperature = trace.Temperature,
                    top_p = trace.TopP,
                    max_tokens = SoakOptions.MaxTokens,
                    seed = trace.Seed,
                    top_logprobs = SoakOptions.TopLogprobs,
                }
            )
        );
        var answer = ScriptedTeachers.Sum(request);
        var expected = new TokenLogprobs
        {
            K = SoakOptions.TopLogprobs,
            TokenIds = [.. answer.Tokens.Select(token => token.Id)],
            Logprobs = [.. answer.Tokens.Select(token => token.Logprob)],
            TopIds = [.. answer.Tokens.SelectMany(token => token.Alternatives.Take(SoakOptions.TopLogprobs).Select(entry => entry.Id))],
            TopLogprobs =
            [
                .. answer.Tokens.SelectMany(token => token.Alternatives.Take(SoakOptions.TopLogprobs).Select(entry => entry.Logprob)),
            ],
        };
        return trace.Generation != answer.Text ? "the text"
            : trace.FinishReason != answer.FinishReason ? "the finish reason"
            : !trace.PromptTokenIds.SequenceEqual(answer.PromptTokenIds) ? "the prompt's tokens"
            : trace.Logprobs is not { } actual ? "no logprobs"
            : !actual.TokenIds.SequenceEqual(expected.TokenIds) ? "the tokens"
            : !actual.Logprobs.SequenceEqual(expected.Logprobs) ? "the tokens' logprobs"
            : !actual.Encoded.AsSpan().SequenceEqual(SoftTargetCodec.Encode(expected)) ? "the soft targets"
            : null;
    }
}

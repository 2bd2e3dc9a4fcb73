using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using TraceDistill.TestServer;
using TraceDistill.TestServer.Forms;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.Benchmarks.Collection;

/// <summary>A server in a process of its own whose answers are there before they are asked for.</summary>
sealed class WordServer : IDisposable
{
    const int Bodies = 16;

    readonly Process _process;

    WordServer(Process process, string url)
    {
        _process = process;
        Url = url;
    }

    public string Url { get; }

    public static async Task<WordServer> StartAsync(string form, int tokens, int top)
    {
        var process = Process.Start(
            new ProcessStartInfo(Environment.ProcessPath!, ["words", "--form", form, "--tokens", $"{tokens}", "--top", $"{top}"])
            {
                RedirectStandardOutput = true,
                RedirectStandardInput = true,
            }
        )!;
        return new WordServer(process, (await process.StandardOutput.ReadLineAsync())!);
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    /// <summary>The verb of that process: says its address and serves until it is killed.</summary>
    public static async Task<int> RunAsync(Arguments arguments)
    {
        var form = WireForms.Named(arguments.Text("form")!);
        await using var server = await ProtocolServer.StartAsync(Reply(form, arguments.Number("tokens", 0), arguments.Number("top", 0)));
        (server.Form, server.KeepsRequests) = (form, false);
        Console.WriteLine(server.Url);
        await Console.In.ReadLineAsync();
        return 0;
    }

    /// <summary>
    /// Prepared answers for clients that ask for tokens spelled as ids, and for those that do not; the probe gets one of its own.
    /// </summary>
    public static Func<HttpContext, string, Task> Reply(WireForm form, int tokens, int top)
    {
        var plain = Replies.Prepared(Render(form, tokens, top, spellIds: false));
        var spelled = Replies.Prepared(Render(form, tokens, top, spellIds: true));
        var probed = Replies.Teach(form);
        return (context, body) =>
            (
                body.Contains("12 + 34", StringComparison.Ordinal) ? probed
                : body.Contains("\"return_tokens_as_token_ids\":true", StringComparison.Ordinal) ? spelled
                : plain
            )(context, body);
    }

    /// <summary>The bodies that answer different seeds.</summary>
    static ReadOnlyMemory<byte>[] Render(WireForm form, int tokens, int top, bool spellIds) =>
        [
            .. Enumerable
                .Range(0, Bodies)
                .Select(seed =>
                {
                    var request = TeacherRequest.Parse(
                        $$"""
                        {"model":"teacher","messages":[{"role":"user","content":""}],"seed":{{seed}},"max_tokens":{{tokens}},"logprobs":true,"top_logprobs":{{top}},
                         "return_token_ids":{{(spellIds ? "true" : "false")}},"return_tokens_as_token_ids":{{(
                            spellIds ? "true" : "false"
                        )}}}
                        """
                    );
                    return form.Completion(request, WordChain.Answer(request));
                }),
        ];
}

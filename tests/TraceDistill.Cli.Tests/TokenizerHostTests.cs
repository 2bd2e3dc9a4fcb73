using System.Diagnostics;
using System.Text.Json.Nodes;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.PreTokenizers;
using Xunit;

namespace TraceDistill.Cli.Tests;

/// <summary>The process that the program starts of itself for tokenizers which it does not read itself.</summary>
public sealed class TokenizerHostTests : IDisposable
{
    const string Verb = "tokenizer-host";
    static readonly string Program = Path.Combine(
        AppContext.BaseDirectory,
        OperatingSystem.IsWindows() ? "tracedistill.exe" : "tracedistill"
    );

    readonly TemporaryDirectory _folder = new();

    public TokenizerHostTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the package of Hugging Face's tokenizers is for linux-x64 alone");
        Write(
            """{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""",
            """{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}"""
        );
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>
    /// Ctrl-C and SIGTERM reach children too, and the parent has work to finish; its end, however it comes about, closes the pipe.
    /// </summary>
    [Fact]
    public async Task Host_Signals_AreLeftToTheParentAndTheEndOfRequestsEndsIt()
    {
        using var host = Process.Start(
            new ProcessStartInfo(Program, [Verb]) { RedirectStandardInput = true, RedirectStandardOutput = true }
        )!;
        var empty = new byte[4];
        await AskAsync(); // it has taken the signals over by the time it answers

        foreach (var signal in new[] { "-INT", "-TERM", "-HUP" })
        {
            using var kill = Process.Start("kill", [signal, $"{host.Id}"]);
            await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
            await AskAsync();
        }

        host.StandardInput.Close();
        await host.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, host.ExitCode);

        // A batch of nothing is answered by one.
        async Task AskAsync()
        {
            await host.StandardInput.BaseStream.WriteAsync(empty, TestContext.Current.CancellationToken);
            await host.StandardInput.BaseStream.FlushAsync(TestContext.Current.CancellationToken);
            await host.StandardOutput.BaseStream.ReadExactlyAsync(new byte[4], TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public void Load_FileThatIsNotReadHere_IsReadByAProcessOfItsOwn()
    {
        var tokenizer = Tokenizer.Load(_folder.Path);

        Assert.Equal([3, 4, 2], tokenizer.Encode("the cat", addSpecialTokens: true));
        Assert.Equal("the cat", tokenizer.Decode([3, 4]));
        Assert.Equal(tokenizer.Hash, Tokenizer.Load(_folder.Path).Hash);
    }

    /// <summary>A panic of the library ends the process that it is in.</summary>
    [Fact]
    public void Decode_TextOverWhichTheLibraryPanics_IsInvalidInputAndNeverTriedAgain()
    {
        Write(
            """{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""",
            """{"type":"Strip","content":"s","start":1,"stop":1}"""
        );
        var tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Equal([3, 5], tokenizer.Encode("thes"));

        var panic = Assert.Throws<InvalidInputException>(() => tokenizer.Decode([5]));
        var later = Assert.Throws<InvalidInputException>(() => tokenizer.Encode("the"));

        Assert.StartsWith($"{_folder.File("tokenizer.json")}: Hugging Face's tokenizers stopped in decoders/strip.rs:", panic.Message);
        Assert.Equal(panic.Message, later.Message);
        Assert.Throws<InvalidInputException>(() => Tokenizer.Load(_folder.Path).Encode("the"));
    }

    [Fact]
    public async Task Train_TokenizerThatPanics_ExitsWithCode2NamingTheFile()
    {
        Write("""{"type":"FixedLength","length":0}""", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""");
        await File.WriteAllTextAsync(
            _folder.File("p.jsonl"),
            """{"problem":"the cat","solution":"the","answer":"cat"}""" + "\n",
            TestContext.Current.CancellationToken
        );
        using var train = Process.Start(
            new ProcessStartInfo(
                Program,
                [
                    "train",
                    "--problems",
                    _folder.File("p.jsonl"),
                    "--tokenizer",
                    _folder.Path,
                    "--max-steps",
                    "1",
                    "--out",
                    _folder.File("student"),
                    "--architecture",
                    "{hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1, intermediate_size: 8}",
                ]
            )
            {
                RedirectStandardError = true,
            }
        )!;

        var errors = await train.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await train.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(2, train.ExitCode);
        Assert.Contains(
            $"error: {_folder.File("tokenizer.json")}: Hugging Face's tokenizers stopped in pre_tokenizers/fixed_length.rs:",
            errors
        );
    }

    void Write(string preTokenizer, string decoder)
    {
        var json = JsonNode.Parse(
            """
            {"version":"1.0","normalizer":null,
            "post_processor":{"type":"TemplateProcessing",
             "single":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],"pair":
            [{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
            "special_tokens":{"</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]}}},
            "added_tokens":[{"id":2,"content":"</s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
            "model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["▁",-9],["</s>",0],["▁the",-2],["▁cat",-4],["s",-5]]}}
            """
        )!;
        json["pre_tokenizer"] = JsonNode.Parse(preTokenizer);
        json["decoder"] = JsonNode.Parse(decoder);
        File.WriteAllText(_folder.File("tokenizer.json"), json.ToJsonString());
        File.WriteAllText(
            _folder.File("tokenizer_config.json"),
            """{"eos_token":"</s>","chat_template":"{% for m in messages %}{{ m.content }}</s>{% endfor %}"}"""
        );
    }
}

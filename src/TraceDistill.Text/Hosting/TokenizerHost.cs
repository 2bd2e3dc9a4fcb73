using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Tokenizers.DotNet;

namespace TraceDistill.Text.Hosting;

/// <summary>
/// The child process that holds Hugging Face's tokenizers: a panic of that library ends the process it runs in, so that is never the one
/// with the user's work. Answers batches on its standard input until that ends, which it does with the parent, however the parent ended.
/// </summary>
public sealed class TokenizerHost
{
    /// <summary>The verb by which the program starts itself as a host; not for users.</summary>
    public const string Verb = "tokenizer-host";

    /// <summary>A message of the library is cut here.</summary>
    const int LongestMessage = 300;

    static readonly List<PosixSignalRegistration> SignalsTaken = [];

    readonly Tokenizer?[] _tokenizers = new Tokenizer?[Enum.GetValues<TokenizerForm>().Length];
    byte[] _file = [];

    TokenizerHost() { }

    /// <summary>Answers until the requests end.</summary>
    /// <returns>The exit code of the process.</returns>
    public static int Run(Stream requests, Stream replies)
    {
        TakeSignals();
        try
        {
            new TokenizerHost().Answer(requests, replies);
        }
        catch (IOException)
        {
            // The parent is gone.
        }

        return 0;
    }

    /// <summary>Answers until the requests end, as <see cref="Run"/> does, in a process that stays its owner's.</summary>
    internal static void Serve(Stream requests, Stream replies) => new TokenizerHost().Answer(requests, replies);

    /// <summary>
    /// Ctrl-C goes to the parent and its children alike; when to end is the parent's business. The
    /// registrations are never given back: the runtime calls them a while after the signal, and one
    /// that came just before the end would then find nobody and end the process with its own exit code.
    /// </summary>
    static void TakeSignals()
    {
        foreach (
            var signal in (ReadOnlySpan<PosixSignal>)[PosixSignal.SIGINT, PosixSignal.SIGQUIT, PosixSignal.SIGHUP, PosixSignal.SIGTERM]
        )
        {
            SignalsTaken.Add(PosixSignalRegistration.Create(signal, context => context.Cancel = true));
        }
    }

    void Answer(Stream requests, Stream replies)
    {
        while (HostFrame.ReadRequests(requests) is { } batch)
        {
            var answers = new HostReply[batch.Length];
            if (batch.Length == 1)
            {
                answers[0] = Answer(batch[0]);
            }
            else
            {
                // The library may be used from any thread, and batches are the calls of several.
                Parallel.For(0, batch.Length, i => answers[i] = Answer(batch[i]));
            }

            HostFrame.Write(replies, answers);
        }
    }

    HostReply Answer(HostRequest request)
    {
        try
        {
            return new HostReply(
                false,
                request.Operation switch
                {
                    HostOperation.Load => Load(request.Content),
                    HostOperation.Encode => HostFrame.OfIds(
                        MemoryMarshal.Cast<uint, int>(For(request.Form).Encode(Encoding.UTF8.GetString(request.Content)))
                    ),
                    _ => Encoding.UTF8.GetBytes(
                        For(request.Form).Decode(Array.ConvertAll(HostFrame.ToIds(request.Content), id => (uint)id))
                    ),
                }
            );
        }
        catch (TokenizerException refused)
        {
            return Refuse(refused.Message);
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException or ArgumentException)
        {
            return Refuse(malformed.Message);
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            return Refuse($"a copy for them could not be written: {failed.Message}");
        }
        catch (Exception absent) when (absent is DllNotFoundException or BadImageFormatException)
        {
            return Refuse(
                $"the package Tokenizers.DotNet has a library for linux-x64, and none for {RuntimeInformation.RuntimeIdentifier}"
            );
        }
    }

    static HostReply Refuse(string message)
    {
        var line = message.ReplaceLineEndings(" ");
        return new HostReply(true, Encoding.UTF8.GetBytes(line.Length > LongestMessage ? $"{line[..LongestMessage]}…" : line));
    }

    byte[] Load(byte[] file)
    {
        // As it is first, so that all of it is looked at.
        _file = file;
        (_, var prepends) = Create(TokenizerForm.Published);
        return [(byte)(prepends ? 1 : 0)];
    }

    Tokenizer For(TokenizerForm form)
    {
        lock (_tokenizers)
        {
            return _tokenizers[(int)form] ?? Create(form).Tokenizer;
        }
    }

    (Tokenizer Tokenizer, bool Prepends) Create(TokenizerForm form)
    {
        // The library reads files alone.
        var folder = Directory.CreateTempSubdirectory("tracedistill-tokenizer-");
        try
        {
            var path = Path.Combine(folder.FullName, "tokenizer.json");
            File.WriteAllText(path, TokenizerForms.Write(_file, form, out var prepends));
            var tokenizer = new Tokenizer(path);
            _tokenizers[(int)form] = tokenizer;
            return (tokenizer, prepends);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}

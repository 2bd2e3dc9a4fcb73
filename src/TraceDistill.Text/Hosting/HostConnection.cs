using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Hosting;

/// <summary>
/// The program's end of the pipes to a tokenizer host. Safe to use from any thread: what is
/// asked while another batch is under way goes together in the next one.
/// </summary>
/// <param name="requests">To the host.</param>
/// <param name="replies">From it.</param>
/// <param name="reasonOfEnd">Asked once, when the host has ended although there are requests.</param>
sealed class HostConnection(Stream requests, Stream replies, Func<HostEndedException> reasonOfEnd)
{
    readonly object _gate = new();
    List<Call> _waiting = [];
    bool _isAsking;
    HostEndedException? _end;

    /// <summary>The replies, in the order of the requests.</summary>
    /// <exception cref="HostEndedException">The host has ended; it does so for good.</exception>
    public HostReply[] Ask(params HostRequest[] requests)
    {
        var call = new Call(requests);
        List<Call> batch;
        lock (_gate)
        {
            _waiting.Add(call);
            while (_isAsking && !call.IsDone)
            {
                Monitor.Wait(_gate);
            }

            if (call.IsDone)
            {
                return ResultOf(call);
            }

            (batch, _waiting, _isAsking) = (_waiting, [], true);
        }

        try
        {
            Exchange(batch);
        }
        finally
        {
            lock (_gate)
            {
                batch.ForEach(done => done.IsDone = true);
                _isAsking = false;
                Monitor.PulseAll(_gate);
            }
        }

        return ResultOf(call);
    }

    /// <summary>As <see cref="Ask"/>, with an end told as it is to the user.</summary>
    /// <param name="file">The tokenizer.json that the host has.</param>
    /// <param name="requests">As there.</param>
    /// <exception cref="InvalidInputException">The library could not go on with the file or with a text.</exception>
    /// <exception cref="ExternalFailureException">The host was ended by something else.</exception>
    public HostReply[] AskOrExplain(string file, params HostRequest[] requests)
    {
        try
        {
            return Ask(requests);
        }
        catch (HostEndedException ended) when (ended.IsPanic)
        {
            throw new InvalidInputException(
                $"{file}: {ended.Message}; take another tokenizer, or an export of it by a newer version",
                ended
            );
        }
        catch (HostEndedException ended)
        {
            throw new ExternalFailureException($"{file}: {ended.Message}", ended);
        }
    }

    HostReply[] ResultOf(Call call) => call.Replies ?? throw new HostEndedException(_end!.IsPanic, _end.Message);

    void Exchange(List<Call> batch)
    {
        if (_end is not null)
        {
            return;
        }

        HostReply[]? all;
        try
        {
            HostFrame.Write(requests, [.. batch.SelectMany(call => call.Requests)]);
            all = HostFrame.ReadReplies(replies);
        }
        catch (Exception closed) when (closed is IOException or ObjectDisposedException)
        {
            all = null;
        }

        if (all is null)
        {
            _end = reasonOfEnd();
            return;
        }

        var next = 0;
        foreach (var call in batch)
        {
            call.Replies = all[next..(next += call.Requests.Length)];
        }
    }

    sealed class Call(HostRequest[] requests)
    {
        public HostRequest[] Requests => requests;

        public HostReply[]? Replies { get; set; }

        public bool IsDone { get; set; }
    }
}

/// <summary>A tokenizer host ended while it was needed.</summary>
/// <param name="isPanic">True where the library ended it, over its file or a text; else something outside did.</param>
/// <param name="message">How it ended, to stand behind the name of the file.</param>
sealed class HostEndedException(bool isPanic, string message) : Exception(message)
{
    public bool IsPanic => isPanic;
}

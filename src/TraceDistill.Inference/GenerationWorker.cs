using TraceDistill.Inference.Sampling;
using TraceDistill.Text.Errors;

namespace TraceDistill.Inference;

/// <summary>
/// One thread that steps its own share of the running sequences: take in new ones, one forward pass over all their next tokens and prompt
/// chunks, draw, repeat. Workers share weights and cache and never wait for each other.
/// </summary>
/// <remarks>
/// A step split over threads would end in a barrier for each product, and a thread that loses its processor to
/// the web server would hold up the rest. Sequences are independent, so whole sequences are what is divided;
/// where there are fewer of them than workers, the idle ones' processors help with the larger products. Weights
/// are streamed once a step by each worker, which is the price with models larger than the processor's cache.
/// </remarks>
sealed class GenerationWorker : IDisposable
{
    readonly SequenceQueue _queue;
    readonly IDecoderPass _pass;
    readonly TokenSampler _sampler;
    readonly int _promptRows;
    readonly int _workers;
    readonly List<Sequence> _running = [];
    readonly List<(Sequence Sequence, int PromptIndex)> _outputs = [];
    readonly List<int> _wanted = [];
    readonly int[] _topIds;
    readonly float[] _topLogprobs;
    readonly Thread _thread;
    long _promptTokens,
        _generatedTokens,
        _exitedTokens;

    public GenerationWorker(IGenerationModel model, SequenceQueue queue, EngineOptions options, int index)
    {
        var vocabulary = model.Configuration.VocabSize;
        _queue = queue;
        (_promptRows, _workers) = (options.PromptTokensPerStep, model.Workers);
        _pass = model.NewPass(options.MaxRunning + options.PromptTokensPerStep);
        _sampler = new TokenSampler(vocabulary);
        _topIds = new int[vocabulary];
        _topLogprobs = new float[vocabulary];
        _thread = new Thread(Loop) { IsBackground = true, Name = $"generation {index}" };
        _thread.Start();
    }

    public long PromptTokens => Interlocked.Read(ref _promptTokens);

    public long GeneratedTokens => Interlocked.Read(ref _generatedTokens);

    public long ExitedTokens => Interlocked.Read(ref _exitedTokens);

    /// <summary>Waits for the thread, which ends once the queue has stopped.</summary>
    public void Dispose()
    {
        _thread.Join();
        _pass.Dispose();
    }

    void Loop()
    {
        while (_queue.Admit(_running))
        {
            try
            {
                Step();
            }
#pragma warning disable CA1031 // Whatever went wrong, those who wait for these sequences must hear of it, and others be served.
            catch (Exception error)
#pragma warning restore CA1031
            {
                _running.ForEach(sequence => sequence.Fail(error));
            }

            Retire();
        }

        _running.ForEach(sequence => sequence.Cancel(new CancellationToken(canceled: true)));
    }

    void Step()
    {
        Gather();
        _pass.Run(_wanted, _queue.Idle / int.Max(1, _workers - _queue.Idle));
        _exitedTokens += _pass.Exited;
        for (var start = 0; start < _outputs.Count; start += _pass.LogitRows)
        {
            var count = int.Min(_pass.LogitRows, _outputs.Count - start);
            _pass.ComputeLogits(start, count);
            for (var i = 0; i < count; i++)
            {
                Deliver(_outputs[start + i].Sequence, _outputs[start + i].PromptIndex, _pass.Logits(i));
            }
        }
    }

    /// <summary>
    /// The batch of this step: one token of each sequence that generates, and of prompts as many tokens as a step may take.
    /// </summary>
    void Gather()
    {
        _pass.Clear();
        _outputs.Clear();
        _wanted.Clear();
        var promptRows = _promptRows;
        foreach (var sequence in _running)
        {
            if (!sequence.InPrompt)
            {
                Want(sequence, _pass.Add(sequence.NextInput, sequence.Position++, sequence.Pages, sequence.IsLong, mayExit: true), -1);
                continue;
            }

            var prompt = sequence.Request.Prompt.Span;
            for (; promptRows > 0 && sequence.InPrompt; promptRows--)
            {
                var index = sequence.Position++;
                var row = _pass.Add(prompt[index], index, sequence.Pages, sequence.IsLong, vector: sequence.PictureVectorAt(index));
                if (sequence.Scores(index) || !sequence.InPrompt)
                {
                    Want(sequence, row, index);
                }
            }
        }

        Interlocked.Add(ref _promptTokens, _promptRows - promptRows);
    }

    void Want(Sequence sequence, int row, int promptIndex)
    {
        _outputs.Add((sequence, promptIndex));
        _wanted.Add(row);
    }

    /// <summary>Puts a row's logits to use: the log-probability of the prompt's next token, or the draw of a new one.</summary>
    void Deliver(Sequence sequence, int promptIndex, ReadOnlySpan<float> logits)
    {
        var prompt = sequence.Request.Prompt.Span;
        var inPrompt = promptIndex >= 0 && promptIndex < prompt.Length - 1;
        var alternatives = inPrompt ? sequence.Request.PromptTopLogprobs : sequence.Request.TopLogprobs;
        if (inPrompt || sequence.Generates)
        {
            var token = inPrompt ? prompt[promptIndex + 1] : _sampler.Sample(logits, sequence.Request, sequence.NextUniform());
            if (!float.IsFinite(logits[token]))
            {
                sequence.Fail(new InvalidInputException("the model's logits are not finite: its weights are damaged"));
                return;
            }

            var (logprob, found) =
                alternatives is not { } k ? (float.NaN, 0)
                : sequence.Request.DrawsAlternatives
                    ? ReportDrawn(logits, token, k, sequence.AlternativesOf(inPrompt ? promptIndex + 1 : null))
                : Report(logits, token, k);
            ReadOnlySpan<int> ids = _topIds.AsSpan(0, found);
            ReadOnlySpan<float> logprobs = _topLogprobs.AsSpan(0, found);
            if (inPrompt)
            {
                sequence.AddPromptToken(token, logprob, ids, logprobs);
                return;
            }

            _generatedTokens++;
            sequence.AddToken(token, logprob, ids, logprobs);
        }
        else
        {
            sequence.Finish(stopped: false);
        }
    }

    /// <summary>Log-probabilities of the token and of the k likeliest, which are left in the scratch arrays.</summary>
    (float Logprob, int Found) Report(ReadOnlySpan<float> logits, int token, int k)
    {
        var normalizer = _sampler.LogNormalizer(logits);
        var found = TopSelection.Select(logits, _topIds.AsSpan(0, k), _topLogprobs.AsSpan(0, k));
        foreach (ref var logprob in _topLogprobs.AsSpan(0, found))
        {
            logprob = (float)(logprob - normalizer);
        }

        return ((float)(logits[token] - normalizer), found);
    }

    /// <summary>Log-probability of the token, and log(count / draws) of tokens drawn from the same distribution.</summary>
    (float Logprob, int Found) ReportDrawn(ReadOnlySpan<float> logits, int token, int draws, SampleStream random)
    {
        var normalizer = _sampler.LogNormalizer(logits);
        var found = 0;
        foreach (var (drawn, count) in _sampler.DrawMany(random, draws))
        {
            (_topIds[found], _topLogprobs[found++]) = (drawn, (float)Math.Log((double)count / draws));
        }

        return ((float)(logits[token] - normalizer), found);
    }

    /// <summary>Lets go of sequences that are over; each is asked once, for one may be cancelled at any moment.</summary>
    void Retire() =>
        _running.RemoveAll(sequence =>
        {
            var isOver = sequence.IsOver;
            if (isOver)
            {
                _queue.Release(sequence);
            }

            return isOver;
        });
}

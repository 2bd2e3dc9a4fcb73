using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Batch;

/// <summary>
/// The results of batches, in whatever order they came: a teacher that has answered already.
/// Held is where in the files each answer stands, 32 bytes each.
/// </summary>
sealed class BatchResults : ITextGenerator, IDisposable
{
    /// <summary>The longest line: an answer of a hundred thousand tokens with their alternatives has a fifth of a gigabyte.</summary>
    const long MostLineBytes = 256L << 20;

    readonly List<(string Path, SafeFileHandle Handle)> _files = [];
    readonly Dictionary<TraceKey, (int File, long Offset, int Length)> _answers = [];
    readonly Dictionary<TraceKey, (string FinishReason, string Reason)> _refused = [];
    readonly List<(string CustomId, string Reason)> _failures = [];
    readonly List<string> _unknown = [];
    readonly ReplyForm _form;
    readonly Predicate<string> _isKnown;

    BatchResults(ReplyForm form, Predicate<string> isKnown) => (_form, _isKnown) = (form, isKnown);

    /// <summary>Names of answers to what was not asked.</summary>
    public IReadOnlyList<string> Unknown => _unknown;

    /// <summary>The requests that got none, each with what was said about it.</summary>
    public IReadOnlyList<(string CustomId, string Reason)> Failures => _failures;

    /// <param name="paths">Files of results, and of errors.</param>
    /// <param name="form">Known facts about the form of the answers.</param>
    /// <param name="isKnown">Returns whether a request of that name may have been sent.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">A file cannot be read, or is none of a batch's results; names the line.</exception>
    public static async Task<BatchResults> OpenAsync(
        IEnumerable<string> paths,
        ReplyForm form,
        Predicate<string> isKnown,
        CancellationToken cancellationToken
    )
    {
        var results = new BatchResults(form, isKnown);
        try
        {
            foreach (var path in paths)
            {
                await results.AddAsync(path, cancellationToken);
            }

            return results;
        }
        catch
        {
            results.Dispose();
            throw;
        }
    }

    /// <param name="customId">The name of a request.</param>
    /// <returns>True where there is an answer, or a refusal that stands for one.</returns>
    public bool Has(string customId) => TraceKey.Of(customId) is var key && (_answers.ContainsKey(key) || _refused.ContainsKey(key));

    /// <summary>The answer that stands in the files.</summary>
    /// <exception cref="InvalidInputException">The answer cannot be read.</exception>
    /// <exception cref="PromptTooLongException">The request was refused as too long for the model's context.</exception>
    public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
        Task.FromResult(
            Read(
                BatchRequestId.Of(TraceKey.Of(request.Id), request.Sampling.Seed) is var again && Has(again) ? again : request.Id,
                request.Sampling
            )
        );

    /// <inheritdoc cref="GenerateAsync"/>
    public GenerationResult Read(string customId, SamplingSettings sampling)
    {
        if (!_answers.TryGetValue(TraceKey.Of(customId), out var place))
        {
            var (finishReason, reason) = _refused[TraceKey.Of(customId)];
            return finishReason == FinishReasons.ContextLength
                ? throw new PromptTooLongException($"the request {customId} was refused ({reason})")
                : new GenerationResult
                {
                    Reasoning = "",
                    Answer = "",
                    Text = "",
                    FinishReason = finishReason,
                };
        }

        var (file, offset, length) = place;
        var body = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            for (var read = 0; read < length; )
            {
                var bytes = RandomAccess.Read(_files[file].Handle, body.AsSpan(read, length - read), offset + read);
                read +=
                    bytes > 0
                        ? bytes
                        : throw new InvalidInputException(
                            $"{_files[file].Path}: became shorter while it was read; run the same command again"
                        );
            }

            return CompletionReader.Read(body.AsSpan(0, length), sampling.TopLogprobs, _form);
        }
        catch (ReportedErrorException e)
        {
            throw new InvalidInputException(
                $"{_files[file].Path}: the answer to {customId} is an error ({e.Error.Shown(text => text)})",
                e
            );
        }
        catch (WireFormatException e)
        {
            throw new InvalidInputException($"{_files[file].Path}: the answer to {customId} cannot be read ({e.Message})", e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(body);
        }
    }

    public void Dispose()
    {
        foreach (var (_, handle) in _files)
        {
            handle.Dispose();
        }
    }

    async Task AddAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            _files.Add((path, File.OpenHandle(path, options: FileOptions.Asynchronous)));
            await using var stream = new FileStream(
                path,
                FileMode.Open,
                FileAccess.Read,
                FileShare.Read,
                bufferSize: 1,
                FileOptions.Asynchronous | FileOptions.SequentialScan
            );
            var pipe = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 1 << 20));
            for (var (offset, number) = (0L, 1); ; )
            {
                var read = await pipe.ReadAsync(cancellationToken);
                var rest = read.Buffer;
                while (rest.PositionOf((byte)'\n') is { } end)
                {
                    Add(path, number++, offset, rest.Slice(0, end));
                    offset += rest.Slice(0, rest.GetPosition(1, end)).Length;
                    rest = rest.Slice(rest.GetPosition(1, end));
                }

                if (read.IsCompleted)
                {
                    Add(path, number, offset, rest);
                    return;
                }

                if (rest.Length > MostLineBytes)
                {
                    throw new InvalidInputException(
                        $"{path}, line {number}: is longer than {MostLineBytes >> 20} MiB; each line holds one result"
                    );
                }

                pipe.AdvanceTo(rest.Start, rest.End);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException($"{path}: cannot be read ({e.Message.TrimEnd('.')})", e);
        }
    }

    void Add(string path, int number, long offset, ReadOnlySequence<byte> content)
    {
        var bytes = content.IsSingleSegment ? content.FirstSpan : content.ToArray();
        if (bytes.Trim(" \t\r"u8).IsEmpty)
        {
            return;
        }

        try
        {
            var line = BatchLine.Parse(bytes);
            if (line.CustomId is not { } id)
            {
                throw new InvalidInputException($"{path}, line {number}: has no custom_id; name a batch's output or error file");
            }

            if (line is { Failure: { } why, Refusal: { } refusal } && _isKnown(id))
            {
                _refused[TraceKey.Of(id)] = (refusal, why);
            }
            else if (line.Failure is { } failure)
            {
                _failures.Add((id, failure));
            }
            else if (!_isKnown(id))
            {
                _unknown.Add(id);
            }
            else
            {
                _answers[TraceKey.Of(id)] = (_files.Count - 1, offset + line.Body.Start.Value, line.Body.End.Value - line.Body.Start.Value);
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The latter is what half a surrogate pair or bytes that are no UTF-8 come to.
            throw new InvalidInputException($"{path}, line {number}: is not JSON in UTF-8; name a batch's output or error file", e);
        }
    }
}

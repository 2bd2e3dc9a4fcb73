using System.Runtime.InteropServices;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Native;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.Spans;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training.Classification;

/// <summary>
/// A classifier that teaches another one: it reads the same texts in its own tokens, once, before the first step. Of tokens of another
/// tokenizer, a student's token has the mean of what the teacher says of its bytes.
/// </summary>
sealed class TaskTeacher : IDisposable
{
    readonly ModelParameters _weights;
    readonly Tokenizer _tokenizer;
    readonly string _directory;

    TaskTeacher(string directory, ModelParameters weights)
    {
        (_directory, _weights, _tokenizer) = (directory, weights, ModelDirectory.LoadTokenizer(directory));
    }

    /// <summary>Its labels by id.</summary>
    public IReadOnlyList<string> Labels => _weights.Configuration.Head!.Labels;

    public IDecoderWeights Weights => _weights;

    /// <param name="name">Of the task.</param>
    /// <param name="directory">The model directory.</param>
    /// <param name="kind">What it has to label.</param>
    /// <exception cref="InvalidInputException">It is no such classifier.</exception>
    public static TaskTeacher Load(string name, string directory, LabelKind kind)
    {
        var head = ModelConfiguration.Load(directory).Head
            ?? throw new InvalidInputException(
                $"{name}: teacher {directory} is a model that writes text; a teacher of labels is a classifier, such as classify makes"
            );
        return head.Kind == kind
            ? new TaskTeacher(directory, ModelDirectory.LoadAny(directory))
            : throw new InvalidInputException(
                $"{name}: teacher {directory} labels {(head.Kind == LabelKind.Token ? "tokens" : "whole texts")}, and the task's kind "
                    + $"is {kind.ToString().ToLowerInvariant()}"
            );
    }

    /// <summary>Labels texts of a task: their sequences have the places for it.</summary>
    /// <param name="data">The task.</param>
    /// <param name="lines">Those of its texts that are labelled.</param>
    /// <param name="student">The student's tokenizer.</param>
    /// <param name="options">Tokens of a pass, device and threads.</param>
    /// <param name="maxLength">Tokens that the teacher's texts are cut to as well; null where one that is too long is an error.</param>
    /// <param name="cancellationToken">Stops.</param>
    /// <exception cref="InvalidInputException">
    /// A text is longer than the teacher's positions, or the teacher's probabilities are no numbers.
    /// </exception>
    public void Teach(
        TaskData data,
        IReadOnlyList<TaskData.Line> lines,
        Tokenizer student,
        OptimizationOptions options,
        int? maxLength,
        CancellationToken cancellationToken
    )
    {
        var encoder = new LabelEncoder(
            _tokenizer,
            data.Task.Kind,
            _weights.Configuration.MaxPositionEmbeddings,
            maxLength // where the student's texts are cut, the teacher's may be
        );
        var encoded = lines.Select(line => Encode(encoder, line)).ToArray();
        _weights.MoveTo(options.Device.Resolve());
        var predicted = LabelPredictions.Of(
            _weights,
            [.. encoded.Select(text => text.Unlabelled())],
            options.MicroBatchTokens,
            options.ResolveWorkers(),
            cancellationToken
        );
        var order = data.Labels.Select(label => Labels.Index().First(own => own.Item == label).Index).ToArray();
        var isSame = _tokenizer.Hash == student.Hash;
        foreach (var ((line, text), values) in lines.Zip(encoded).Zip(predicted))
        {
            if (Array.Exists(values, float.IsNaN))
            {
                throw new InvalidInputException(
                    $"{line.Source.Where}: teacher {_directory} gives labels of this text probabilities that are no numbers; its weights "
                        + "are damaged, or overflow (take another checkpoint)"
                );
            }

            var taught = line.Sequence.Labels!.Taught;
            if (data.Task.Kind == LabelKind.Sequence || (isSame && text.Rows.Length >= line.Encoded.Rows.Length))
            {
                for (var i = 0; i < taught.Length; i++)
                {
                    taught[i] = values[(i / order.Length * order.Length) + order[i % order.Length]];
                }
            }
            else
            {
                Spread(values, text.Bytes, taught, line.Encoded.Bytes, order);
            }
        }
    }

    /// <summary>Mean probabilities over the bytes of a student's tokens.</summary>
    /// <param name="values">[teacher's tokens · L] log-probabilities.</param>
    /// <param name="from">[teacher's tokens] bytes, ascending.</param>
    /// <param name="taught">[student's tokens · L] is filled.</param>
    /// <param name="to">[student's tokens] bytes, ascending.</param>
    /// <param name="order">[L] the teacher's id of each label.</param>
    internal static void Spread(float[] values, TextSpan[] from, float[] taught, TextSpan[] to, int[] order)
    {
        var labels = order.Length;
        var (sums, at) = (new double[labels], 0);
        foreach (var (token, bytes) in to.Index())
        {
            Array.Clear(sums);
            for (var place = bytes.Start; place < Math.Max(bytes.End, bytes.Start + 1); place++)
            {
                // What a tokenizer drops belongs to the token behind it.
                while (at < from.Length - 1 && from[at].End <= place)
                {
                    at++;
                }

                for (var label = 0; label < labels; label++)
                {
                    sums[label] += Math.Exp(values[(at * labels) + order[label]]);
                }
            }

            var all = sums.Sum();
            for (var label = 0; label < labels; label++)
            {
                taught[(token * labels) + label] = (float)Math.Log(Math.Max(sums[label] / all, float.Epsilon));
            }
        }
    }

    /// <summary>Shows what a teacher has said of a task: to be kept for a training that goes on.</summary>
    public static void Visit(TaskData data, BytesVisitor visit)
    {
        foreach (var line in data.Train.Concat(data.HeldOut))
        {
            visit(MemoryMarshal.AsBytes(line.Sequence.Labels!.Taught.AsSpan()));
        }
    }

    public void Dispose() => _weights.Dispose();

    EncodedText Encode(LabelEncoder encoder, TaskData.Line line)
    {
        try
        {
            return encoder.Encode(line.Source);
        }
        catch (InvalidInputException error)
        {
            throw new InvalidInputException($"teacher {_directory}: {error.Message}", error);
        }
    }
}

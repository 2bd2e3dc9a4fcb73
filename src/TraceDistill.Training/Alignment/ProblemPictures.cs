using TraceDistill.Data.Pictures;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Traces;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;

namespace TraceDistill.Training.Alignment;

/// <summary>
/// Pictures of problems, by which a student is asked where its teacher read the text. They are joined with traces by the problems' ids:
/// traces stay what the teacher was asked and wrote, and serve students of either kind.
/// </summary>
public sealed class ProblemPictures
{
    readonly Dictionary<string, (string Text, string Path)> _byId = [];
    readonly string _origin;

    /// <param name="shape">The student's encoder.</param>
    /// <param name="origin">Names the problems in errors.</param>
    public ProblemPictures(PictureEncoderSettings shape, string origin) => (Shape, _origin) = (shape, origin);

    /// <summary>The student's encoder.</summary>
    public PictureEncoderSettings Shape { get; }

    /// <summary>Takes a problem; one without a picture is found out when a trace of it is asked for.</summary>
    public void Add(Problem problem)
    {
        if (problem.Picture is { } path)
        {
            _byId[problem.Id] = (problem.Text, path);
        }
    }

    /// <summary>Returns whether there is a picture of a problem.</summary>
    public bool Has(string problem) => _byId.ContainsKey(problem);

    /// <summary>
    /// The trace as if its problem had been put by the picture: in place of the text where the prompt has it last, since an example before
    /// it may have the same.
    /// </summary>
    /// <exception cref="InvalidInputException">The problem has no picture, or its text is not in the prompt.</exception>
    public Trace Ask(Trace trace)
    {
        var (text, _) = Find(trace.ProblemId);
        var messages = trace.Messages.ToArray();
        var last = Array.FindLastIndex(messages, turn => turn.Role == "user" && turn.Content.Contains(text, StringComparison.Ordinal));
        if (last < 0)
        {
            throw new InvalidInputException(
                $"{_origin}: the prompt of trace {trace.Id} does not have the text of problem {trace.ProblemId} in it, so that its picture "
                    + "has no place there; name the problem file that the traces were made of"
            );
        }

        var (content, start) = (messages[last].Content, messages[last].Content.LastIndexOf(text, StringComparison.Ordinal));
        messages[last] = messages[last] with { Content = $"{content[..start]}{Picture.Place}{content[(start + text.Length)..]}" };
        return trace with { Messages = messages, PromptTokenIds = [] };
    }

    /// <summary>A problem's picture.</summary>
    /// <exception cref="InvalidInputException">It has none.</exception>
    public SequencePicture Of(string problem) => new(Find(problem).Path, Shape);

    /// <summary>A problem's own picture.</summary>
    /// <exception cref="InvalidInputException">It has none.</exception>
    public SequencePicture Of(Problem problem) => new(problem.Picture ?? throw Missing(problem.Id), Shape);

    (string Text, string Path) Find(string problem) => _byId.TryGetValue(problem, out var found) ? found : throw Missing(problem);

    InvalidInputException Missing(string problem) =>
        new(
            $"{_origin}: problem {problem} has no picture, and the student looks at pictures: give each problem one in the field picture "
                + "(problems draws them with pictures: true)"
        );
}

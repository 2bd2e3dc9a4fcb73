using TraceDistill.Teachers.Connector;

namespace TraceDistill.Teachers.Pool;

/// <summary>
/// Gives an endpoint up that scores most texts wrongly or refuses them: it is no longer what the probe saw, as after a restart with another
/// model. Each endpoint has one of its own: what one of several does wrong the others make good.
/// </summary>
sealed class ScoringGuard(TeacherEndpoint endpoint)
{
    const int Recent = 40;

    readonly Lock _lock = new();
    readonly Queue<bool> _answers = new();

    /// <summary>A text was scored.</summary>
    public void Scored()
    {
        lock (_lock)
        {
            Count(isFailed: false);
        }
    }

    /// <summary>A text was refused, or came back as another one or with logprobs that are none.</summary>
    /// <exception cref="TeacherRequestException">So were most of the last ones: nothing more is to be asked here.</exception>
    public void Failed(TeacherRequestException failure)
    {
        lock (_lock)
        {
            Count(isFailed: true);
            var failed = _answers.Count(isFailed => isFailed);
            if (2 * failed >= Recent)
            {
                throw new TeacherRequestException(
                    FailureScope.Teacher,
                    $"{failed} of the last {_answers.Count} texts could not be scored at {endpoint}, though the first one was; "
                        + $"the last failure: {failure.Message}; check what the server is doing",
                    failure
                );
            }
        }
    }

    void Count(bool isFailed)
    {
        _answers.Enqueue(isFailed);
        if (_answers.Count > Recent)
        {
            _answers.Dequeue();
        }
    }
}

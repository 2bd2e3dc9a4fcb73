using System.Text;

namespace TraceDistill.Cli.Tests.Support;

/// <summary>Keeps what is written and tells when something has been said.</summary>
sealed class HeardWriter : TextWriter
{
    readonly Lock _lock = new();
    readonly StringBuilder _text = new();
    readonly List<(string Text, TaskCompletionSource Said)> _waiting = [];

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value) => Write(value.ToString());

    public override void Write(string? value)
    {
        lock (_lock)
        {
            _text.Append(value);
            foreach (var (_, said) in _waiting.Where(waiting => ToString().Contains(waiting.Text)))
            {
                said.TrySetResult();
            }
        }
    }

    public override void WriteLine(string? value) => Write(value + "\n");

    /// <summary>Ends when <paramref name="text"/> has been written.</summary>
    public Task Heard(string text)
    {
        lock (_lock)
        {
            var said = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((text, said));
            Write("");
            return said.Task;
        }
    }

    public override string ToString()
    {
        lock (_lock)
        {
            return _text.ToString();
        }
    }
}

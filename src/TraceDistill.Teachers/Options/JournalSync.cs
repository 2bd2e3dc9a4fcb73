namespace TraceDistill.Teachers.Options;

/// <summary>When the journal waits for the disk, as SQLite's <c>PRAGMA synchronous</c> has it.</summary>
public enum JournalSync
{
    /// <summary>At each commit: what was acknowledged survives the loss of power.</summary>
    Full,

    /// <summary>Now and then: survives the loss of the process; the loss of power may cost the last seconds.</summary>
    Normal,

    /// <summary>Never: survives the loss of the process; the loss of power may damage the journal.</summary>
    Off,
}

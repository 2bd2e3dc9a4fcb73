using Microsoft.Data.Sqlite;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Journal;

/// <summary>Turns what SQLite says into one line for the user.</summary>
static class JournalFailure
{
    const int Busy = 5;
    const int Locked = 6;
    const int ReadOnly = 8;
    const int Corrupt = 11;
    const int Full = 13;
    const int CannotOpen = 14;
    const int NotADatabase = 26;

    public static Exception Describe(string path, SqliteException e) =>
        e.SqliteErrorCode switch
        {
            Busy or Locked => new ExternalFailureException(
                $"{path}: another run is collecting into this folder; wait for it, or name another folder with --out",
                e
            ),
            ReadOnly or CannotOpen => new InvalidInputException(
                $"{path}: cannot be written; name a folder that you may write to with --out",
                e
            ),
            Full => new ExternalFailureException(
                $"{path}: the disk is full; what was collected is kept: free some space and run the same command again",
                e
            ),
            Corrupt or NotADatabase => new InvalidInputException(
                $"{path}: is not a journal of this program, or damaged; restore it, or delete it and collect its traces again",
                e
            ),
            _ => new ExternalFailureException(
                $"{path}: writing failed ({e.Message}); what was collected is kept: check the disk and run the same command again",
                e
            ),
        };
}

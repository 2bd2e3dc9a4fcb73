namespace TraceDistill.Data.Problems.Families;

/// <summary>A kind of problem that can be made endlessly, such as column addition.</summary>
public interface IProblemFamily
{
    /// <summary>One lower-case word, as it stands in <see cref="Problem.Family"/> and on the command line.</summary>
    string Name { get; }

    /// <summary>Draws operands, wording and a way to solve; equal random states give equal drafts.</summary>
    ProblemDraft Draw(Random random);
}

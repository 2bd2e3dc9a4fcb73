using System.ComponentModel.DataAnnotations;

namespace TraceDistill.Core.Problems;

/// <summary>Marks an options property that lists families of <see cref="ProblemGenerator"/>, or <c>all</c>.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class KnownFamiliesAttribute : ValidationAttribute
{
    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext) =>
        ((IReadOnlyList<string>)value!).FirstOrDefault(name => name != ProblemGenerator.AllFamilies && !ProblemGenerator.FamilyNames.Contains(name)) is { } unknown
            ? new ValidationResult($"unknown family \"{unknown}\"; there are {string.Join(", ", ProblemGenerator.FamilyNames)}, and {ProblemGenerator.AllFamilies}")
            : ValidationResult.Success;
}

using System.ComponentModel.DataAnnotations;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Problems;

/// <summary>Marks an options property that lists families of <see cref="ProblemGenerator"/>, or <c>all</c>.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class KnownFamiliesAttribute : ValidationAttribute
{
    static readonly string[] Known = [ProblemGenerator.AllFamilies, .. ProblemGenerator.FamilyNames];

    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext) =>
        ((IReadOnlyList<string>)value!).FirstOrDefault(name => !Known.Contains(name)) is { } unknown
            ? new ValidationResult($"unknown family \"{unknown}\"; {NearestName.Suggestion(unknown, Known)}")
            : ValidationResult.Success;
}

using System.ComponentModel.DataAnnotations;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Dialects;

/// <summary>The value is the name of a dialect, or <c>auto</c>.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class KnownDialectAttribute : ValidationAttribute
{
    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext) =>
        value is string name && !KnownDialects.Names.Contains(name)
            ? new ValidationResult(
                $"unknown dialect '{name}'; {NearestName.Suggestion(name, KnownDialects.Names)}",
                [validationContext.MemberName!]
            )
            : ValidationResult.Success;
}

using System.ComponentModel.DataAnnotations;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Prompts;

/// <summary>Marks an options property that names a prompt of <see cref="PromptLibrary.Default"/>, or none.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class KnownPromptAttribute : ValidationAttribute
{
    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext)
    {
        try
        {
            _ = value is string name ? PromptLibrary.Default.Load(name) : null;
            return ValidationResult.Success;
        }
        catch (InvalidInputException exception)
        {
            return new ValidationResult(exception.Message);
        }
    }
}

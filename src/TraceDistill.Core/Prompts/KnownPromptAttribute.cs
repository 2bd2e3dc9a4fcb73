using System.ComponentModel.DataAnnotations;
using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Prompts;

/// <summary>Marks an options property that names a prompt of <see cref="PromptLibrary.Default"/>.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class KnownPromptAttribute : ValidationAttribute
{
    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext)
    {
        try
        {
            PromptLibrary.Default.Load((string)value!);
            return ValidationResult.Success;
        }
        catch (InvalidInputException exception)
        {
            return new ValidationResult(exception.Message);
        }
    }
}

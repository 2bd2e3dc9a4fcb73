using System.ComponentModel.DataAnnotations;
using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Prompts;

/// <summary>Marks an options property that names a prompt of <see cref="PromptLibrary.Default"/>.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class KnownPromptAttribute : ValidationAttribute
{
    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext)
    {
        var (name, names) = ((string)value!, PromptLibrary.Default.Names);
        if (!names.Contains(name))
        {
            return new ValidationResult($"no prompt \"{name}\"; there {(names.Count == 0 ? "is none" : $"are {string.Join(", ", names)}")}");
        }

        try
        {
            PromptLibrary.Default.Load(name);
            return ValidationResult.Success;
        }
        catch (InvalidInputException exception)
        {
            return new ValidationResult(exception.Message);
        }
    }
}

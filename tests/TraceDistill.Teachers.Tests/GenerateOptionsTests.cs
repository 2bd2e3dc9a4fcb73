using System.ComponentModel.DataAnnotations;
using Xunit;

namespace TraceDistill.Teachers.Tests;

public sealed class GenerateOptionsTests
{
    static readonly GenerateOptions Good = new() { Problems = "p.jsonl", Endpoint = "http://host/v1", Model = "m" };

    [Fact]
    public void Validate_EndpointWithModelOrServe_IsFine()
    {
        Assert.Empty(Problems(Good));
        Assert.Empty(Problems(Good with { Endpoint = null, Model = null, Serve = "model" }));
    }

    [Fact]
    public void Validate_ContradictingSettings_NamesEach()
    {
        Assert.Equal(["Endpoint"], Problems(Good with { Serve = "model" }));
        Assert.Equal(["Endpoint"], Problems(Good with { Endpoint = null }));
        Assert.Equal(["Model"], Problems(Good with { Model = null }));
        Assert.Equal(["SamplesPerProblem"], Problems(Good with { Temperature = 0, SamplesPerProblem = 2 }));
        Assert.Equal(["Concurrency", "MaxTokens", "TopP"], Problems(Good with { Concurrency = 0, MaxTokens = 0, TopP = 0 }));
    }

    static IEnumerable<string> Problems(GenerateOptions options)
    {
        var results = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), results, validateAllProperties: true);
        return results.SelectMany(result => result.MemberNames).Order(StringComparer.Ordinal);
    }
}

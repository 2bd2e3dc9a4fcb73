using System.ComponentModel.DataAnnotations;
using TraceDistill.Teachers.Options;
using Xunit;

namespace TraceDistill.Teachers.Tests.Options;

public sealed class GenerateOptionsTests
{
    static readonly GenerateOptions Good = new()
    {
        Problems = "p.jsonl",
        Endpoint = "http://host/v1",
        Model = "m",
    };

    [Fact]
    public void Validate_EndpointWithModelOrServe_IsFine()
    {
        Assert.Empty(Problems(Good));
        Assert.Empty(Problems(Good with { Endpoint = null, Model = null, Serve = "model" }));
        Assert.Empty(
            Problems(Good with { Endpoint = null, Endpoints = [new() { Endpoint = "http://a/v1" }, new() { Endpoint = "http://b/v1" }] })
        );
        Assert.Empty(
            Problems(
                Good with
                {
                    MaxCost = 5,
                    PricePerMillion = new() { Input = 1, Output = 2 },
                }
            )
        );
    }

    [Fact]
    public void Validate_ContradictingSettings_NamesEach()
    {
        Assert.Equal(["Endpoint"], Problems(Good with { Serve = "model" }));
        Assert.Equal(["Endpoint"], Problems(Good with { Endpoint = null }));
        Assert.Equal(["Endpoint"], Problems(Good with { Endpoints = [new() { Endpoint = "http://other/v1" }] }));
        Assert.Equal(
            ["Model"],
            Problems(Good with { Endpoint = null, Model = null, Endpoints = [new() { Endpoint = "http://other/v1" }] })
        );
        Assert.Equal(["MaxCost"], Problems(Good with { MaxCost = 5 }));
        Assert.Equal(["Model"], Problems(Good with { Model = null }));
        Assert.Equal(["SamplesPerProblem"], Problems(Good with { Temperature = 0, SamplesPerProblem = 2 }));
        Assert.Equal(["Concurrency", "MaxTokens", "TopP"], Problems(Good with { Concurrency = 0, MaxTokens = 0, TopP = 0 }));
    }

    [Fact]
    public void Validate_Batch_WantsAModelAndNoTeacher()
    {
        var batch = Good with { Endpoint = null, BatchOut = "b.jsonl" };
        Assert.Empty(Problems(batch));
        Assert.Empty(Problems(batch with { BatchOut = null, BatchIn = ["r.jsonl"] }));
        Assert.Equal(["Model"], Problems(batch with { Model = null }));
        Assert.Equal(["BatchOut"], Problems(batch with { Serve = "model" }));
        Assert.Equal(["BatchOut"], Problems(batch with { BatchIn = ["r.jsonl"] }));
    }

    static IEnumerable<string> Problems(GenerateOptions options)
    {
        var results = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), results, validateAllProperties: true);
        return results.SelectMany(result => result.MemberNames).Order(StringComparer.Ordinal);
    }
}

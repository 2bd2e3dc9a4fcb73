using TraceDistill.Teachers.Options;

namespace TraceDistill.Teachers.Collection;

/// <summary>Role of an option of <see cref="GenerateOptions"/> with traces that are there already.</summary>
enum OptionRole
{
    /// <summary>It goes into what the teacher is asked or how its answer is kept: with another value, traces are other traces.</summary>
    Identity,

    /// <summary>It says which traces are wanted: more of it adds some, less of it leaves some over.</summary>
    Selection,

    /// <summary>It says how traces are got and kept, and not what they are.</summary>
    Operation,
}

/// <summary>The role of every option.</summary>
static class OptionRoles
{
    /// <summary>By the name of the property. A new option has to be put here.</summary>
    public static IReadOnlyDictionary<string, OptionRole> All { get; } =
        new Dictionary<string, OptionRole>
        {
            [nameof(GenerateOptions.Serve)] = OptionRole.Identity,
            [nameof(GenerateOptions.Model)] = OptionRole.Identity,
            [nameof(GenerateOptions.ExtraBody)] = OptionRole.Identity,
            [nameof(GenerateOptions.Prompt)] = OptionRole.Identity,
            [nameof(GenerateOptions.Prompts)] = OptionRole.Identity,
            [nameof(GenerateOptions.System)] = OptionRole.Identity,
            [nameof(GenerateOptions.FewShot)] = OptionRole.Identity,
            [nameof(GenerateOptions.FewShotCount)] = OptionRole.Identity,
            [nameof(GenerateOptions.TopLogprobs)] = OptionRole.Identity,
            [nameof(GenerateOptions.SampledLogprobs)] = OptionRole.Identity,
            [nameof(GenerateOptions.Temperature)] = OptionRole.Identity,
            [nameof(GenerateOptions.TopP)] = OptionRole.Identity,
            [nameof(GenerateOptions.MaxTokens)] = OptionRole.Identity,
            [nameof(GenerateOptions.Seed)] = OptionRole.Identity,
            [nameof(GenerateOptions.Tokenizer)] = OptionRole.Identity,
            [nameof(GenerateOptions.ReasoningMarkers)] = OptionRole.Identity,

            [nameof(GenerateOptions.Problems)] = OptionRole.Selection,
            [nameof(GenerateOptions.SamplesPerProblem)] = OptionRole.Selection,
            [nameof(GenerateOptions.Limit)] = OptionRole.Selection,
            [nameof(GenerateOptions.Partition)] = OptionRole.Selection,
            [nameof(GenerateOptions.Partitions)] = OptionRole.Selection,
            [nameof(GenerateOptions.Reask)] = OptionRole.Selection,
            [nameof(GenerateOptions.AllowMissing)] = OptionRole.Selection,

            [nameof(GenerateOptions.ProblemField)] = OptionRole.Selection,
            [nameof(GenerateOptions.AnswerField)] = OptionRole.Selection,
            [nameof(GenerateOptions.SolutionField)] = OptionRole.Selection,
            [nameof(GenerateOptions.Duplicates)] = OptionRole.Selection,

            [nameof(GenerateOptions.Endpoint)] = OptionRole.Operation,
            [nameof(GenerateOptions.Layout)] = OptionRole.Operation,
            [nameof(GenerateOptions.OnlyCorrect)] = OptionRole.Operation,
            [nameof(GenerateOptions.MinAgreement)] = OptionRole.Operation,
            [nameof(GenerateOptions.Endpoints)] = OptionRole.Operation,
            [nameof(GenerateOptions.ApiKeyEnv)] = OptionRole.Operation,
            [nameof(GenerateOptions.ApiKeyFile)] = OptionRole.Operation,
            [nameof(GenerateOptions.Device)] = OptionRole.Operation,
            [nameof(GenerateOptions.Dialect)] = OptionRole.Operation,
            [nameof(GenerateOptions.Stream)] = OptionRole.Operation,
            [nameof(GenerateOptions.RequireSoftTargets)] = OptionRole.Operation,
            [nameof(GenerateOptions.Concurrency)] = OptionRole.Operation,
            [nameof(GenerateOptions.Rpm)] = OptionRole.Operation,
            [nameof(GenerateOptions.Tpm)] = OptionRole.Operation,
            [nameof(GenerateOptions.HedgeAfter)] = OptionRole.Operation,
            [nameof(GenerateOptions.MaxTokensTotal)] = OptionRole.Operation,
            [nameof(GenerateOptions.MaxCost)] = OptionRole.Operation,
            [nameof(GenerateOptions.PricePerMillion)] = OptionRole.Operation,
            [nameof(GenerateOptions.ShardRows)] = OptionRole.Operation,
            [nameof(GenerateOptions.Synchronous)] = OptionRole.Operation,
            [nameof(GenerateOptions.AttemptTimeout)] = OptionRole.Operation,
            [nameof(GenerateOptions.RetryFor)] = OptionRole.Operation,
            [nameof(GenerateOptions.PrometheusPort)] = OptionRole.Operation,
            [nameof(GenerateOptions.BatchOut)] = OptionRole.Operation,
            [nameof(GenerateOptions.BatchIn)] = OptionRole.Operation,
            [nameof(GenerateOptions.Discard)] = OptionRole.Operation,
        };
}

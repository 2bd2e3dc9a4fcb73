using TraceDistill.Data.Shards;
using Xunit;

namespace TraceDistill.Data.Tests.Shards;

public class SamplingDistortionsTests
{
    [Theory]
    [InlineData(1, null, "")]
    [InlineData(0.9, null, "top_p 0.9")]
    [InlineData(
        1,
        """{"top_k":-1,"min_p":0.0,"repetition_penalty":1,"presence_penalty":0,"logit_bias":{},"guided_json":null,"seed":3,"stop":["x"]}""",
        ""
    )]
    [InlineData(1, """{"top_k":20,"repetition_penalty":1.1}""", "top_k 20, repetition_penalty 1.1")]
    [InlineData(0.95, """{"min_p":0.05,"chat_template_kwargs":{"enable_thinking":true}}""", "top_p 0.95, min_p 0.05")]
    [InlineData(1, """{"sampling_params":{"frequency_penalty":0.5}}""", "frequency_penalty 0.5")]
    [InlineData(1, """{"logit_bias":{"5":-100}}""", "logit_bias …")]
    public void Of_Settings_NamesThoseThatChangeTheDistribution(double topP, string? extraBody, string expected) =>
        Assert.Equal(expected, string.Join(", ", SamplingDistortions.Of(topP, extraBody)));

    [Theory]
    [InlineData(LogprobKind.Raw, null)]
    [InlineData(LogprobKind.Processed, "after top_p 0.9, which cannot be undone")]
    public void Warning_DataSet_TellsWhatTheTargetsAreOfWhereTheyAreNotTheModelsOwn(LogprobKind kind, string? said)
    {
        var warning = SamplingDistortions.Warning(
            new DatasetDescription
            {
                Teacher = "t",
                TokenIdentity = TokenIdentity.Ids,
                TopK = 20,
                TopP = 0.9,
                Logprobs = kind,
            }
        );

        if (said is null)
        {
            Assert.Null(warning);
        }
        else
        {
            Assert.Contains(said, warning);
        }
    }
}

using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>Students by where they come from: their weights, tokenizer, template and positions.</summary>
public sealed class TrainStageStudentTests : TrainStageCase
{
    /// <summary>A base model without a chat template is taught, and served, behind the teacher's.</summary>
    [Fact]
    public async Task RunAsync_StudentWithoutAChatTemplate_TakesTheTeachersAndKeepsIt()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "base");
        var settings = Path.Combine(Folder.Out("base"), "tokenizer_config.json");
        File.WriteAllText(settings, """{"eos_token": "<|end|>"}""");
        var template = Tokenizer.Load(Path.Combine(Folder.Path, TrainStage.StoredTokenizer)).ChatTemplateSource;
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(Tuned, Folder.Out("tuned"), observer, TestContext.Current.CancellationToken);

        Assert.Equal(template, File.ReadAllText(Path.Combine(Folder.Out("tuned"), "chat_template.jinja")));
        Assert.Equal(template, Tokenizer.Load(Folder.Out("tuned")).ChatTemplateSource);
        Assert.Contains(observer.Messages, message => message.Contains("has no chat template; the student takes the teacher's"));
    }

    [Fact]
    public async Task RunAsync_StudentCutOutOfALargerModel_BeginsWithItsWeights()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options with { Architecture = Options.Architecture! with { NumHiddenLayers = 4 } }, "teacher");

        await RunAsync(Options with { InitFrom = Folder.Out("teacher") }, "student");

        using var teacher = ModelDirectory.Load(Folder.Out("teacher"));
        using var initial = ModelDirectory.Load(Path.Combine(Folder.Out("student"), TrainStage.InitialDirectory));
        using var student = ModelDirectory.Load(Folder.Out("student"));
        const string second = "model.layers.1.self_attn.k_proj.weight",
            third = "model.layers.2.self_attn.k_proj.weight";
        Assert.Equal(teacher.Values(third).ToArray(), initial.Values(second).ToArray());
        Assert.NotEqual(initial.Values(second).ToArray(), student.Values(second).ToArray());
    }

    [Fact]
    public async Task RunAsync_InitFromAnotherFamilyThanAskedFor_IsRefusedByName()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "teacher");

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(
                Options with
                {
                    InitFrom = Folder.Out("teacher"),
                    Architecture = Options.Architecture! with { ModelType = "gemma2" },
                },
                "student"
            )
        );
        Assert.Equal(
            "architecture: model_type is gemma2, and the student takes its "
                + $"weights from {Folder.Out("teacher")}, a llama model: leave it out",
            error.Message
        );
    }

    /// <summary>What a recurrent model is not told is what its source has; what it is told otherwise is refused.</summary>
    [Fact]
    public async Task RunAsync_InitFromARecurrentModel_TakesItsFamilyStatesAndConvolution()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        var recurrent = Options.Architecture! with { ModelType = "mingru", NumAttentionHeads = null, StateSize = 40, ConvKernel = 3 };
        await RunAsync(Options with { Architecture = recurrent }, "teacher");
        var narrow = new ModelArchitecture { HiddenSize = 24, NumHiddenLayers = 1 };
        var options = Options with { InitFrom = Folder.Out("teacher"), Architecture = narrow };

        await RunAsync(options, "student");

        var student = ModelConfiguration.Load(Folder.Out("student"));
        Assert.Equal(ModelFamily.MinGru, student.Family);
        Assert.Equal(new RecurrenceSettings { StateSize = 40, ConvKernel = 3 }, student.Recurrence);
        await RefusedAsync(narrow with { NumAttentionHeads = 2 }, "architecture: num_attention_heads: mingru has a recurrence in place of");
        await RefusedAsync(
            narrow with
            {
                ConvKernel = 1,
            },
            $"init_from: the student does not fit into {Folder.Out("teacher")}: conv_kernel is 1 and has to be its 3"
        );
        await RefusedAsync(
            narrow with
            {
                ModelType = "llama",
                NumAttentionHeads = 2,
            },
            $"architecture: model_type is llama, and the student takes its weights from {Folder.Out("teacher")}, a mingru model: "
                + "leave it out"
        );

        async Task RefusedAsync(ModelArchitecture architecture, string message)
        {
            var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
                RunAsync(options with { Architecture = architecture }, "refused")
            );
            Assert.StartsWith(message, error.Message);
        }
    }

    [Fact]
    public async Task RunAsync_StudentFromScratchWithoutPositions_HasAsManyAsItsTeacherMayWrite()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 5).Select(Folder.Create));
        var options = Options with { Architecture = Options.Architecture! with { MaxPositionEmbeddings = null } };
        await RunAsync(options, "unknown");
        new TaskDescription { Prompts = [TaskPrompt.Load("Reasoning/Solve")], MaxTokens = 3_000 }.Save(Folder.Path);
        await RunAsync(options, "told");

        var prompt = Enumerable.Range(1, 5).Max(index => Folder.Create(index).PromptTokenIds.Length);
        Assert.Equal(1_024, ModelConfiguration.Load(Folder.Out("unknown")).MaxPositionEmbeddings);
        Assert.Equal((3_000 + prompt + 63) / 64 * 64, ModelConfiguration.Load(Folder.Out("told")).MaxPositionEmbeddings);
    }

    [Fact]
    public async Task RunAsync_StudentWithAnotherVocabulary_LearnsFromWhatItsTokensCanSay()
    {
        var broken = Folder.Create(21);
        broken.Logprobs!.TokenIds[0] = 200; // No text, which leaves the hard loss.
        await Folder.WriteAsync([.. Enumerable.Range(1, 20).Select(Folder.Create), broken]);
        var options = Options with { Tokenizer = Folder.WriteTokenizer("other", "and are and are", 262, "<|stop|>"), KdUldWeight = 0.5 };

        var summary = await RunAsync(options, "other");

        Assert.InRange(summary.AlignedTokens!.Value, 0.8, 0.98);
        Assert.InRange(summary.AlignedMass!.Value, 0.5, 1);
        Assert.Equal(262, ModelConfiguration.Load(Folder.Out("other")).VocabSize);
        var message = (
            await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options with { KdMinAlignment = 0.99 }, "none"))
        ).Message;
        Assert.Contains("kd_min_alignment 0.99", message);
        Assert.False(Directory.Exists(Folder.Out("none")));
    }

    /// <summary>A base model with a chat template: its tokenizer ends texts, not turns.</summary>
    [Fact]
    public async Task RunAsync_TemplateThatEndsAnswersOtherwiseThanTheTokenizer_NamesThatEndForServers()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 5).Select(Folder.Create));
        var student = Folder.WriteTokenizer("base", "and are and are", 262, "<|endoftext|>", "<|im_end|>");

        await RunAsync(Options with { Tokenizer = student }, "chat");

        var written = Tokenizer.Load(Folder.Out("chat"));
        int turnEnd = Assert.Single(written.Encode("<|im_end|>")),
            textEnd = Assert.Single(written.Encode("<|endoftext|>"));
        Assert.Equal([textEnd, turnEnd], written.EndOfSequenceIds.Order());
        Assert.StartsWith(
            $$"""{"eos_token_id":[{{turnEnd}},""",
            string.Concat(
                File.ReadAllText(Path.Combine(Folder.Out("chat"), "generation_config.json")).Where(letter => !char.IsWhiteSpace(letter))
            ),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task RunAsync_TeachersTokenizerMissing_IsAskedFor()
    {
        await Folder.WriteAsync([Folder.Create(1)]);
        var other = Folder.WriteTokenizer("other", "and are and are", 262, "<|stop|>");
        Directory.Move(Path.Combine(Folder.Path, TrainStage.StoredTokenizer), Path.Combine(Folder.Path, "moved"));

        Assert.Contains(
            "teacher_tokenizer",
            (await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options with { Tokenizer = other }, "none"))).Message
        );
        Assert.NotNull(
            (await RunAsync(Options with { Tokenizer = other, TeacherTokenizer = Path.Combine(Folder.Path, "moved") }, "named")).AlignedMass
        );
    }

    [Fact]
    public async Task RunAsync_TracesOfAnotherTokenizer_AreRefusedByName()
    {
        await Folder.WriteAsync([Folder.Create(1)], tokenizerHash: "another");

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => TrainAsync(Options, "none"));

        Assert.StartsWith(Folder.Path, error.Message);
        Assert.Contains("tokenizer", error.Message);
    }
}

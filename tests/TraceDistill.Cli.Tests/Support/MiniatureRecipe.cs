namespace TraceDistill.Cli.Tests.Support;

/// <summary>The main job in miniature: an all but untrained model teaches a smaller one.</summary>
static class MiniatureRecipe
{
    public const string Yaml = """
        name: miniature
        seed: 5
        stages:
          problems: { do: problems, family: addition, count: 6, held_out: 3 }
          teacher:  { do: pretrain, family: addition, architecture: { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 600 },
                      vocab_size: 300, max_steps: 3, batch_tokens: 300, logging_steps: 1, save_steps: 1 }
          traces:   { do: generate, problems: problems/train.jsonl, serve: teacher, prompt: Reasoning/Solve, max_tokens: 12, top_logprobs: 5, concurrency: 4 }
          student:  { do: train, traces: traces, problems: problems/train.jsonl, architecture: { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1, max_position_embeddings: 600 },
                      kd_alpha: { schedule: linear, from: 0.9, to: 0.5 }, max_steps: 3, batch_tokens: 300, logging_steps: 1, save_steps: 1 }
          baseline: { like: student, kd_alpha: 0 }
          scores:   { do: evaluate, problems: problems/held_out.jsonl, max_tokens: 8, traces: traces,
                      models: { teacher: teacher, student: student, baseline: baseline, untrained: student/initial } }
          report:   { do: report }
        """;

    public static IReadOnlyList<string> Stages { get; } = ["problems", "teacher", "traces", "student", "baseline", "scores", "report"];
}

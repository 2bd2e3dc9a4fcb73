namespace TraceDistill.TestServer.Forms;

/// <summary>The forms of every server that the product knows.</summary>
public static class WireForms
{
    public static WireForm OpenAi { get; } = new OpenAiForm();

    public static WireForm DeepSeek { get; } = new DeepSeekForm();

    public static WireForm OpenRouter { get; } = new OpenRouterForm();

    public static WireForm Vllm { get; } = new VllmForm();

    public static WireForm Sglang { get; } = new SglangForm();

    public static WireForm SglangGenerate { get; } = new SglangGenerateForm();

    public static WireForm LlamaCpp { get; } = new LlamaCppForm();

    public static WireForm Ollama { get; } = new OllamaForm();

    public static WireForm Tgi { get; } = new TgiForm();

    public static WireForm TraceDistill { get; } = new TraceDistillForm();

    public static IReadOnlyList<WireForm> All { get; } =
    [OpenAi, DeepSeek, OpenRouter, Vllm, Sglang, SglangGenerate, LlamaCpp, Ollama, Tgi, TraceDistill];

    public static WireForm Named(string name) => All.Single(form => form.Name == name);
}

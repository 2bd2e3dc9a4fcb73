using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Teachers.Wire;
using TraceDistill.Tests.Support;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>A collection without a server: problems → teacher in this process → journal → shards of five traces.</summary>
sealed class StoreRun : IDisposable
{
    public static readonly DatasetDescription Dataset = new()
    {
        Teacher = "teacher",
        TokenIdentity = TokenIdentity.Ids,
        TopK = 1,
    };
    static readonly Lazy<Task<PromptTemplate>> Prompt = new(() =>
        PromptTemplate.CreateAsync(PromptLibrary.Default.Load("Reasoning/Solve"))
    );

    readonly TemporaryDirectory _folder = new();

    public StoreRun(int problems) => WriteProblems(problems);

    public string Out => _folder.File("traces");

    public void WriteProblems(int count) =>
        File.WriteAllLines(
            _folder.File("problems.jsonl"),
            Enumerable
                .Range(0, count)
                .Select(i =>
                    JsonSerializer.Serialize(
                        new
                        {
                            id = $"p{i:000}",
                            problem = $"What is {i} + 2?",
                            answer = $"{i + 2}",
                        }
                    )
                )
        );

    public async Task<TraceStore<CollectionPlan>> OpenAsync(
        int samples = 1,
        IReadOnlyList<TraceFlaw>? reask = null,
        Partition? partition = null
    )
    {
        var folder = new OutputFolder(Out, partition ?? Partition.Whole);
        folder.Create();
        var prompts = new PromptSet([(await Prompt.Value, 1)], system: null, examples: null, seed: 3);
        return await TraceStore<CollectionPlan>.OpenAsync(
            folder,
            PlanAsync,
            new StoreOptions(BlockCut.Every(5), reask ?? [], JournalSync.Off),
            TestTeacher.Token
        );

        Task<CollectionPlan> PlanAsync(Partition planned) =>
            CollectionPlan.CreateAsync(
                new ProblemSource(_folder.File("problems.jsonl"), Limit: null, planned),
                prompts,
                "teacher",
                new SamplingSettings { TopLogprobs = 1 },
                samples,
                seed: 3,
                TestTeacher.Token
            );
    }

    /// <summary>Collects all that is wanted and publishes it.</summary>
    /// <param name="step">Called before each step that changes shards or manifests.</param>
    public async Task<PublishedTraces> RunAsync(
        ITextGenerator teacher,
        int samples = 1,
        IReadOnlyList<TraceFlaw>? reask = null,
        Action<string>? step = null,
        Partition? partition = null
    )
    {
        await using var store = await OpenAsync(samples, reask, partition);
        store.Step = step ?? store.Step;
        if (store.IsFinished)
        {
            return store.Published;
        }

        if (store.NeedsTeacher)
        {
            var journal = store.Describe(Dataset);
            await using var compactor = store.StartCompaction();
            var collector = new TraceCollector(
                teacher,
                MathVerifier.Instance,
                new TokenResolver(tokenizer: null),
                Dataset,
                SilentObserver.Instance,
                new VirtualTime(),
                concurrency: 3,
                CollectionBudget.Unlimited
            );
            await collector.CollectAsync(store.Plan, store.Inventory, journal, compactor, TestTeacher.Token);
        }

        return await store.PublishAsync(missing: null, TestTeacher.Token);
    }

    public async Task<List<Trace>> TracesAsync()
    {
        var reader = await ShardReader.OpenAsync(Out, cancellationToken: TestTeacher.Token);
        return await reader.ReadAsync(TestTeacher.Token).ToListAsync(TestTeacher.Token);
    }

    /// <summary>Names and contents of the files published.</summary>
    public List<(string Name, string Content)> Files() =>
        [
            .. Directory
                .EnumerateFiles(Out)
                .Where(file => !Path.GetFileName(file).StartsWith('.'))
                .Order(StringComparer.Ordinal)
                .Select(file => (Path.GetFileName(file), Convert.ToBase64String(File.ReadAllBytes(file)))),
        ];

    public void Dispose() => _folder.Dispose();
}

using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Integrations;

/// <summary>Teachers for programs on Semantic Kernel and Microsoft.Extensions.AI.</summary>
public static class TeacherExtensions
{
    /// <summary>A teacher as a chat client of Microsoft.Extensions.AI.</summary>
    /// <remarks>
    /// A response has the reasoning as <see cref="TextReasoningContent"/>, logprobs (asked for with the
    /// additional properties <c>logprobs</c> and <c>top_logprobs</c>) under <see cref="ReplyMetadata.Logprobs"/>,
    /// and the <see cref="GenerationResult"/> as raw representation. Additional properties of the options pass
    /// through to the server. A failed request is an <see cref="HttpRequestException"/>.
    /// </remarks>
    /// <param name="teacher">The teacher. It outlives the client, whose disposal does nothing.</param>
    public static IChatClient AsChatClient(this TeacherPool teacher) => new TeacherChatClient(teacher);

    /// <summary>A teacher as a chat service of Semantic Kernel.</summary>
    /// <remarks>
    /// A reply has usage, finish reason, reasoning and logprobs in its metadata under the keys of <see cref="ReplyMetadata"/>, and the
    /// <see cref="GenerationResult"/> as inner content. A failed request is an <see cref="HttpOperationException"/>.
    /// </remarks>
    /// <param name="teacher">The teacher. It outlives the service.</param>
    public static IChatCompletionService AsChatCompletionService(this TeacherPool teacher) => new TeacherChatCompletionService(teacher);

    /// <summary>Adds a teacher to the services of a kernel.</summary>
    /// <returns><paramref name="builder"/>.</returns>
    /// <inheritdoc
    /// cref="AddTraceDistillTeacher(IServiceCollection, EndpointSettings, string?, ResilienceOptions?, Action{IHttpClientBuilder}?)"/>
    public static IKernelBuilder AddTraceDistillTeacher(
        this IKernelBuilder builder,
        EndpointSettings endpoint,
        string? serviceId = null,
        ResilienceOptions? resilience = null,
        Action<IHttpClientBuilder>? configureHttp = null
    )
    {
        builder.Services.AddTraceDistillTeacher(endpoint, serviceId, resilience, configureHttp);
        return builder;
    }

    /// <summary>
    /// Adds a teacher as <see cref="IChatCompletionService"/> and <see cref="IChatClient"/>, and as the <see cref="TeacherPool"/> behind
    /// both, with retries, limits and a circuit breaker. It logs through the services' logging and takes their <see cref="TimeProvider"/>.
    /// </summary>
    /// <param name="services">The services that it joins.</param>
    /// <param name="endpoint">Address, model, key and dialect.</param>
    /// <param name="serviceId">The key to ask for it by, where there are several.</param>
    /// <param name="resilience">Limits and patience; null takes the defaults.</param>
    /// <param name="configureHttp">Changes its named HTTP client, such as by more handlers.</param>
    /// <returns><paramref name="services"/>.</returns>
    /// <exception cref="InvalidInputException">
    /// The address is not one, the model has no name, or there is no key where one is named.
    /// </exception>
    public static IServiceCollection AddTraceDistillTeacher(
        this IServiceCollection services,
        EndpointSettings endpoint,
        string? serviceId = null,
        ResilienceOptions? resilience = null,
        Action<IHttpClientBuilder>? configureHttp = null
    )
    {
        var (checkedEndpoint, options) = (TeacherEndpoint.Create(endpoint), resilience ?? new ResilienceOptions());

        // A name of its own: two registrations may lead to one address.
        var http = services
            .AddHttpClient($"{nameof(TraceDistill)}.{serviceId ?? checkedEndpoint.ToString()}.{services.Count}")
            .ConfigurePrimaryHttpMessageHandler(() => TeacherHttpHandler.Create(options.Concurrency))
            // Connections are renewed by the handler itself, and the teacher keeps its client.
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan);
        configureHttp?.Invoke(http);
        services.AddKeyedSingleton(serviceId, (provider, _) =>
            new TeacherPool(
                [
                    new PooledEndpoint(checkedEndpoint)
                    {
                        Handler = provider.GetRequiredService<IHttpMessageHandlerFactory>().CreateHandler(http.Name),
                    },
                ],
                options,
                provider.GetService<TimeProvider>() ?? TimeProvider.System,
                provider.GetService<ILoggerFactory>() is { } logging
                    ? new LoggingObserver(logging.CreateLogger<TeacherPool>())
                    : SilentObserver.Instance
            )
        );
        services.AddKeyedSingleton(serviceId, (provider, _) => TeacherOf(provider).AsChatCompletionService());
        return services.AddKeyedSingleton(serviceId, (provider, _) => TeacherOf(provider).AsChatClient());

        TeacherPool TeacherOf(IServiceProvider provider) => provider.GetRequiredKeyedService<TeacherPool>(serviceId);
    }
}

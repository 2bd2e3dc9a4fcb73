using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.SemanticKernel;
using Microsoft.SemanticKernel.ChatCompletion;
using Polly;

namespace TraceDistill.Teachers.Connector;

/// <summary>Adds teachers to Semantic Kernel programs.</summary>
public static class TeacherKernelExtensions
{
    /// <summary>Adds a teacher as a chat service of the kernel.</summary>
    /// <inheritdoc cref="AddTraceDistillTeacher(IServiceCollection, EndpointSettings, string?, Action{HttpRetryStrategyOptions}?)"/>
    public static IKernelBuilder AddTraceDistillTeacher(
        this IKernelBuilder builder, EndpointSettings endpoint, string? serviceId = null, Action<HttpRetryStrategyOptions>? configureRetry = null)
    {
        builder.Services.AddTraceDistillTeacher(endpoint, serviceId, configureRetry);
        return builder;
    }

    /// <summary>
    /// Adds a teacher as an <see cref="IChatCompletionService"/> over an HTTP client of the factory's own making: what fails for a passing reason is
    /// tried five more times, later each time and not before the server asks, and nothing limits how long an answer may take.
    /// </summary>
    /// <param name="services">Where it is added.</param>
    /// <param name="endpoint">Address, model, key and dialect.</param>
    /// <param name="serviceId">The key to ask for it by, where there are several.</param>
    /// <param name="configureRetry">Changes the retry.</param>
    /// <returns><paramref name="services"/>.</returns>
    /// <exception cref="Core.Errors.InvalidInputException">The address is none, the model has no name, or there is no key where one is named.</exception>
    public static IServiceCollection AddTraceDistillTeacher(
        this IServiceCollection services, EndpointSettings endpoint, string? serviceId = null, Action<HttpRetryStrategyOptions>? configureRetry = null)
    {
        var checkedEndpoint = TeacherEndpoint.Create(endpoint);

        // A name of its own: under a shared one, the retries of two registrations would multiply.
        var client = $"{nameof(TraceDistill)}.{serviceId ?? checkedEndpoint.ToString()}.{services.Count}";
        services.AddHttpClient(client, http => TeacherHttpHandler.Configure(http))
            .ConfigurePrimaryHttpMessageHandler(() => TeacherHttpHandler.Create(int.MaxValue))
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan) // Connections are renewed by the handler itself, and the service keeps its client.
            .AddResilienceHandler("teacher", (pipeline, context) =>
            {
                var retry = new HttpRetryStrategyOptions { MaxRetryAttempts = 5, Delay = TimeSpan.FromSeconds(1), BackoffType = DelayBackoffType.Exponential, UseJitter = true };
                configureRetry?.Invoke(retry);
                pipeline.TimeProvider = context.ServiceProvider.GetService<TimeProvider>();
                pipeline.AddRetry(retry);
            });
        return services.AddKeyedSingleton<IChatCompletionService>(serviceId, (provider, _) => new ChatCompletionConnector(new TeacherClient(
            provider.GetRequiredService<IHttpClientFactory>().CreateClient(client), checkedEndpoint, provider.GetService<TimeProvider>() ?? TimeProvider.System)));
    }
}

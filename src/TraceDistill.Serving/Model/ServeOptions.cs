using System.ComponentModel;
using System.Net;
using TraceDistill.Data.Options;
using TraceDistill.Text.Errors;

namespace TraceDistill.Serving.Model;

/// <summary>Options of a <see cref="ModelServer"/>: the model, the address, and the limits.</summary>
public sealed record ServeOptions : IDeviceOptions
{
    [InputPath]
    [Description("Model directory to serve, in Hugging Face layout")]
    public required string Model { get; init; }

    [Description("Name by which clients call the model; the directory's name unless given")]
    public string? Name { get; init; }

    [Description("Address to listen on; beyond loopback only with an API key")]
    public string Host { get; init; } = "127.0.0.1";

    [Description("Port to listen on; 0 takes a free one")]
    public int Port { get; init; } = 8080;

    [Description("Environment variable that holds the API key that clients must send")]
    public string? ApiKeyEnv { get; init; }

    [Description("Maximum sequences generated at the same time")]
    public int MaxConcurrent { get; init; } = 64;

    [Description("Maximum sequences that wait for a place; further requests are refused with status 429")]
    public int QueueLength { get; init; } = 256;

    [Description("Maximum alternatives per token that a request may ask for")]
    public int MaxTopLogprobs { get; init; } = 64;

    [Description("Memory for the KV cache, in MiB")]
    public int CacheMegabytes { get; init; } = 512;

    /// <value>4: a million tokens of text.</value>
    [Description("Largest request accepted, in MiB")]
    public int MaxRequestMegabytes { get; init; } = 4;

    /// <value>64.</value>
    [Description("Memory for the bodies of all requests in flight, in MiB; further requests are refused with status 429")]
    public int MaxBodiesMegabytes { get; init; } = 64;

    /// <value>auto.</value>
    [Operational]
    [Description("Device to compute on: cpu, cuda, cuda:N, or auto, a GPU where there is one")]
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

    [Description("Threads that generate; one for each processor unless given")]
    public int? Threads { get; init; }

    [Description("Layer, from 0, after which generated tokens may leave the model, on the CPU; all go through all layers unless given")]
    public int? ExitLayer { get; init; }

    /// <value>0.9.</value>
    [Description("Probability of the likeliest next token from which on a token leaves after exit_layer")]
    public double ExitThreshold { get; init; } = 0.9;

    [Description("Seconds that running requests are given to finish when the server is stopped")]
    public int ShutdownSeconds { get; init; } = 10;

    /// <summary>Address that <see cref="Host"/> names; null where it is no address.</summary>
    internal IPAddress? Address =>
        Host == "localhost" ? IPAddress.Loopback
        : IPAddress.TryParse(Host, out var address) ? address
        : null;

    /// <summary>Checks all settings and reports every problem at once.</summary>
    /// <exception cref="InvalidInputException">Some are wrong.</exception>
    internal void Validate()
    {
        var problems = new List<string>();
        Check("port", Port, 0, 65_535);
        Check("max_concurrent", MaxConcurrent, 1, 4_096);
        Check("queue_length", QueueLength, 0, 1_000_000);
        Check("max_top_logprobs", MaxTopLogprobs, 0, 1_024);
        Check("cache_megabytes", CacheMegabytes, 1, 1 << 20);
        Check("max_request_megabytes", MaxRequestMegabytes, 1, 1_024);
        Check("max_bodies_megabytes", MaxBodiesMegabytes, MaxRequestMegabytes, 1 << 20);
        Check("threads", Threads ?? 1, 1, 1_024);
        Check("shutdown_seconds", ShutdownSeconds, 0, 3_600);
        Check("exit_layer", ExitLayer ?? 0, 0, int.MaxValue);
        if (ExitThreshold is not (>= 0 and <= 1))
        {
            problems.Add(FormattableString.Invariant($"exit_threshold is {ExitThreshold} but must be from 0 to 1"));
        }

        if (ExitLayer is null && ExitThreshold != new ServeOptions { Model = Model }.ExitThreshold)
        {
            problems.Add("exit_threshold goes with exit_layer");
        }

        if (Address is not { } address)
        {
            problems.Add($"host \"{Host}\" is not an IP address or localhost");
        }
        else if (!IPAddress.IsLoopback(address) && ApiKeyEnv is null)
        {
            problems.Add(
                $"host {Host} is reachable from other machines: set api_key_env "
                    + "to an environment variable that holds a key, or use 127.0.0.1"
            );
        }

        if (problems.Count > 0)
        {
            throw new InvalidInputException(string.Join("; ", problems));
        }

        void Check(string name, int value, int least, int most)
        {
            if (value < least || value > most)
            {
                problems.Add($"{name} is {value} but must be from {least} to {most}");
            }
        }
    }
}

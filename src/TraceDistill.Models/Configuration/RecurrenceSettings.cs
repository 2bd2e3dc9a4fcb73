using System.Text.Json.Serialization;

namespace TraceDistill.Models.Configuration;

/// <summary>A model's recurrence in place of attention, in the words of <c>config.json</c>.</summary>
public sealed record RecurrenceSettings
{
    /// <summary>Channels of a layer's state (<c>state_size</c>): hidden_size times what the paper calls the expansion.</summary>
    public required int StateSize { get; init; }

    /// <summary>
    /// Tokens that the convolution before the recurrence sees, the current one included (<c>conv_kernel</c>); 1 for no convolution.
    /// </summary>
    public required int ConvKernel { get; init; }

    /// <summary>Former tokens that the convolution sees.</summary>
    [JsonIgnore]
    public int Tail => ConvKernel - 1;
}

using System.Net;
using Microsoft.SemanticKernel;
using TraceDistill.Teachers.Connector;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Integrations;

/// <summary>
/// Turns a failed request into the exception that a framework's users catch; this program's own stays its inner exception.
/// </summary>
static class RequestFailure
{
    /// <summary>Returns whether an exception is about the request, and neither a cancellation nor a fault of this program.</summary>
    public static bool Is(Exception e) => e is ExternalFailureException or InvalidInputException;

    /// <summary>The exception of Semantic Kernel's connectors.</summary>
    public static HttpOperationException ForKernel(Exception e) => new(StatusOf(e), CauseOf(e)?.ServerMessage, MessageOf(e), e);

    /// <summary>The exception of clients that speak HTTP.</summary>
    public static HttpRequestException ForChatClient(Exception e) =>
        new(
            CauseOf(e) is { NoConnection: true } ? HttpRequestError.ConnectionError : HttpRequestError.Unknown,
            MessageOf(e),
            e,
            StatusOf(e)
        );

    static TeacherRequestException? CauseOf(Exception e) => e.InnerException as TeacherRequestException;

    static HttpStatusCode? StatusOf(Exception e) => (HttpStatusCode?)CauseOf(e)?.Status;

    /// <summary>Without the sample's name, which the caller has not given.</summary>
    static string MessageOf(Exception e) => CauseOf(e)?.Message ?? e.Message;
}

using Microsoft.SemanticKernel.ChatCompletion;
using TraceDistill.Core.Generation;

namespace TraceDistill.Teachers.Connector;

/// <summary>Generates through a Semantic Kernel chat service, one attempt a request.</summary>
sealed class ChatCompletionGenerator(IChatCompletionService service)
{
    /// <param name="request">What to ask.</param>
    /// <param name="progress">Told of what comes.</param>
    /// <param name="cancellationToken">Abandons the attempt.</param>
    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, AnswerProgress progress, CancellationToken cancellationToken)
    {
        var history = new ChatHistory();
        foreach (var message in request.Messages)
        {
            history.AddMessage(new AuthorRole(message.Role), message.Content);
        }

        var reply = await service.GetChatMessageContentAsync(history, new TeacherExecutionSettings(request.Sampling, progress), kernel: null, cancellationToken);
        return (GenerationResult)reply.InnerContent!;
    }
}

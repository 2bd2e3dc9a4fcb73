namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Error while a template was rendered; the renderer adds the place.</summary>
sealed class JinjaFailure(string message) : Exception(message);

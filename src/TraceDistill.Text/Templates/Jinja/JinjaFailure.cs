namespace TraceDistill.Text.Templates.Jinja;

/// <summary>What went wrong while a template was rendered; the renderer adds the place.</summary>
sealed class JinjaFailure(string message) : Exception(message);

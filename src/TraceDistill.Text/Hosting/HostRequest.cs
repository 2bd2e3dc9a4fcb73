namespace TraceDistill.Text.Hosting;

enum HostOperation : byte
{
    /// <summary>
    /// The content is a tokenizer.json; the reply is one byte: whether anything is put before texts. Comes first, and once.
    /// </summary>
    Load,

    /// <summary>The content is a text in UTF-8; the reply its ids.</summary>
    Encode,

    /// <summary>The content is ids; the reply their text in UTF-8.</summary>
    Decode,
}

/// <summary>One thing asked of a tokenizer host.</summary>
readonly record struct HostRequest(HostOperation Operation, TokenizerForm Form, byte[] Content);

/// <summary>Its answer: the result, or in UTF-8 why there is none.</summary>
readonly record struct HostReply(bool IsRefused, byte[] Content);

using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TraceDistill.Data.Pictures;
using TraceDistill.Inference.Kernels;
using TraceDistill.Models;

namespace TraceDistill.Inference;

/// <summary>A picture in a prompt.</summary>
/// <param name="picture">Its pixels.</param>
/// <param name="prompt">Has its places.</param>
/// <param name="vectors">[places, D] flat.</param>
sealed class PromptPicture(Picture picture, ReadOnlyMemory<int> prompt, float[] vectors)
{
    readonly int _first = prompt.Span.IndexOf(PicturePrompt.Token);
    readonly int _places = prompt.Span.Count(PicturePrompt.Token);

    /// <summary>[D] the vector in place of a token of the prompt; empty where it has none.</summary>
    public ReadOnlyMemory<float> At(int index)
    {
        var size = vectors.Length / _places;
        return index >= _first && index < _first + _places ? vectors.AsMemory((index - _first) * size, size) : default;
    }

    /// <summary>
    /// The start of the prompt by which sequences are found to share it: in the places of the picture is its SHA-256, as numbers that are
    /// no tokens, so that prompts with other pictures are others. A start with too few places for all of it ends before the picture.
    /// </summary>
    /// <param name="length">Tokens that might be shared.</param>
    /// <param name="cache">Says how many tokens fill a page.</param>
    public ReadOnlyMemory<int> Shared(int length, PagePool cache)
    {
        var digest = MemoryMarshal.Cast<byte, int>(SHA256.HashData(picture.Pixels));
        if (length > _first && Math.Min(length - _first, _places) < digest.Length)
        {
            return prompt[..cache.WholePages(Math.Min(length, _first))];
        }

        var tokens = prompt[..length].ToArray();
        for (var place = 0; place < Math.Min(_places, length - _first); place++)
        {
            tokens[_first + place] = digest[place % digest.Length] | int.MinValue; // tokens are not negative
        }

        return tokens;
    }
}

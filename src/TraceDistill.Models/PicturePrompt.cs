using TraceDistill.Data.Contracts;
using TraceDistill.Data.Pictures;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Models;

/// <summary>Prompts in which a picture stands among the tokens.</summary>
public static class PicturePrompt
{
    /// <summary>Stands in a sequence of tokens for one vector of its picture; no id of any vocabulary.</summary>
    public const int Token = -1;

    /// <summary>
    /// The tokens of a text, with as many of <see cref="Token"/> as the encoder makes vectors where the picture's place is.
    /// </summary>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="rendered">
    /// What the chat template has made of a conversation in which <see cref="Picture.Place"/> stands once.
    /// </param>
    /// <param name="pictures">The model's encoder; null for a model that looks at text alone.</param>
    /// <exception cref="InvalidInputException">A model with an encoder is given no picture, or several.</exception>
    public static int[] Encode(Tokenizer tokenizer, string rendered, PictureEncoderSettings? pictures)
    {
        if (pictures is null)
        {
            return tokenizer.Encode(rendered);
        }

        return rendered.Split(Picture.Place) is [var before, var after]
            ? [.. tokenizer.Encode(before), .. Enumerable.Repeat(Token, pictures.Patches), .. tokenizer.EncodeWithin(after)]
            : throw new InvalidInputException(
                $"the prompt has {Counted.Of(rendered.Count(character => character == Picture.Place), "picture")}, and this model looks at "
                    + "one: give it exactly one"
            );
    }
}

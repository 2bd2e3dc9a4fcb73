using TraceDistill.Evaluation.Verification.Prose;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification.Prose;

public sealed class SentencesTests
{
    [Theory]
    [InlineData("He has 3.5 kg. She has 2.", "He has 3.5 kg.|She has 2.")]
    [InlineData("It measures 20 sq. ft. in all. Yes!", "It measures 20 sq. ft. in all.|Yes!")]
    [InlineData("There are 4! = 24 ways. Done", "There are 4! = 24 ways.|Done")]
    [InlineData("See e.g. Table 2. It is 5.", "See e.g. Table 2.|It is 5.")]
    [InlineData("The answer is:\n\n5\nDone", "The answer is:\n\n5|Done")]
    [InlineData("The area is\n\\[\n3 \\cdot 4 = 12.\n\\]\nDone.", "The area is\n\\[\n3 \\cdot 4 = 12.\n\\]|Done.")]
    [InlineData("**So it is 5.** Good.", "**So it is 5.**|Good.")]
    [InlineData("\u6240\u4ee5\u662f5\u3002\u597d\u3002", "\u6240\u4ee5\u662f5\u3002|\u597d\u3002")]
    [InlineData(" \n\n ", "")]
    public void Of_AText_PartsItWhereSentencesEnd(string text, string sentences) =>
        Assert.Equal(sentences, string.Join('|', Sentences.Of(text).Select(sentence => sentence.Text)));

    [Fact]
    public void Of_AText_TellsWhereEachSentenceStands() =>
        Assert.All(Sentences.Of("One. Two!\n Three"), sentence =>
            Assert.Equal(sentence.Text, "One. Two!\n Three"[sentence.Start..sentence.End])
        );
}

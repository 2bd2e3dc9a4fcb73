using TraceDistill.Evaluation.Verification.Prose;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification.Prose;

public sealed class RemarksTests
{
    [Theory]
    [InlineData("I hope this helps!", true)]
    [InlineData("Let me know if you want the area (48) too.", true)]
    [InlineData("Check: 11 - 3 = 8 and 11 + 3 = 14 \u2713.", true)]
    [InlineData("We verified: 3 + 4 = 7.", true)]
    [InlineData("You need 7 eggs.", false)]
    public void IsAside_ASentence_TellsCourtesiesAndChecks(string sentence, bool isAside) =>
        Assert.Equal(isAside, Remarks.IsAside(sentence));

    [Theory]
    [InlineData(" Hmm, that does not look right.", true)]
    [InlineData(" However, she found one more.", true)]
    [InlineData(" Is that all?", true)]
    [InlineData(" I hope this helps! Let me know if not.", false)]
    [InlineData(" That is all of them.", false)]
    public void TakeBack_WhatFollowsAResult_TellsSecondThoughts(string text, bool isTakenBack) =>
        Assert.Equal(isTakenBack, Remarks.TakeBack(text));

    [Theory]
    [InlineData(" The question asks for twice that.", true)]
    [InlineData(" That's the number of birds in the tree.", false)]
    public void GoOn_WhatFollowsAResult_TellsFurtherWork(string text, bool goesOn) => Assert.Equal(goesOn, Remarks.GoOn(text));

    [Theory]
    [InlineData("So she has 5 apples and", true)]
    [InlineData("So she has 5 apples", false)]
    public void IsCut_ATextThatBreaksOff_IsTrue(string text, bool isCut) => Assert.Equal(isCut, Remarks.IsCut(text));
}

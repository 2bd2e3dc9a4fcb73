namespace TraceDistill.Data.Problems.Families;

/// <summary>Word problems of two steps.</summary>
sealed class TwoStepStory : IProblemFamily
{
    public string Name => "story2";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var story = new Story(write, new SolutionWriter(random));
        switch (write.Between(0, 3))
        {
            case 0:
                story.Has(write.Between(20, 99));
                story.Gets(write.Between(6, 89));
                story.Loses(write.Between(6, story.Total - 1));
                break;
            case 1:
                story.Has(write.Between(30, 99));
                story.Loses(write.Between(6, story.Total - 1));
                story.Gets(write.Between(6, 89));
                break;
            case 2:
                story.Has(write.Between(10, 99));
                story.GetsGroups(write.Between(2, 9), write.Between(3, 9));
                break;
            default:
                story.HasGroups(write.Between(3, 9), write.Between(4, 9));
                if (write.Chance(0.5))
                {
                    story.Gets(write.Between(6, 89));
                }
                else
                {
                    story.Loses(write.Between(3, story.Total - 1));
                }
                break;
        }

        return story.Finish();
    }
}

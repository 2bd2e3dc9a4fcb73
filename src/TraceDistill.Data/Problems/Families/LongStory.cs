namespace TraceDistill.Data.Problems.Families;

/// <summary>Word problems of three and four steps.</summary>
sealed class LongStory : IProblemFamily
{
    public string Name => "story4";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var story = new Story(write, new SolutionWriter(random));
        switch (write.Between(0, 3))
        {
            case 0:
                story.HasGroups(write.Between(3, 9), write.Between(3, 9));
                story.Gets(write.Between(6, 79));
                story.Loses(write.Between(5, story.Total - 1));
                break;
            case 1:
                story.HasGroups(write.Between(3, 9), write.Between(4, 9));
                story.Loses(write.Between(3, story.Total - 1));
                story.Gets(write.Between(6, 79));
                break;
            case 2:
                story.Has(write.Between(10, 99));
                story.GetsGroups(write.Between(2, 9), write.Between(3, 9));
                story.Loses(write.Between(5, story.Total - 1));
                break;
            default:
                story.HasGroups(write.Between(2, 9), write.Between(3, 9));
                story.GetsGroups(write.Between(2, 9), write.Between(3, 9));
                story.Loses(write.Between(5, story.Total - 1));
                break;
        }

        return story.Finish();
    }
}

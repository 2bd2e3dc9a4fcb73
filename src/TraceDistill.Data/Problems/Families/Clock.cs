namespace TraceDistill.Data.Problems.Families;

/// <summary>A time on a twelve-hour clock, some hours and minutes later or earlier.</summary>
sealed class Clock : IProblemFamily
{
    public string Name => "clock";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var later = write.Chance(0.6);
        var (hour, minute) = (write.Between(1, 12), write.Between(0, 59));
        var (hours, minutes) = (write.Between(1, 11), write.Between(1, 59));
        var time = Show(hour, minute);
        var span = $"{hours} {(hours == 1 ? "hour" : "hours")} and {minutes} {(minutes == 1 ? "minute" : "minutes")}";
        var direction = later ? "later" : "earlier";
        var text = write.Pick(
            $"a clock shows {time}. what time is it {span} {direction}?",
            $"it is {time} now. what time {(later ? "will it be" : "was it")} {span} {direction}?",
            $"what time is {span} {(later ? "after" : "before")} {time}?",
            $"find the time {span} {direction} than {time}."
        );
        var answer = later ? Later(write, hour, minute, hours, minutes) : Earlier(write, hour, minute, hours, minutes);
        write.Conclude(answer);
        return new ProblemDraft($"{time} {(later ? '+' : '-')} {hours}:{minutes:00}", text, write.ToString(), answer);
    }

    static string Show(int hour, int minute) => $"{hour}:{minute:00}";

    static string Later(SolutionWriter write, int hour, int minute, int hours, int minutes)
    {
        write.Say(
            write.Pick(
                $"we add {minute} and {minutes} minutes.",
                $"minutes first: {minute}+{minutes}.",
                $"first the minutes, {minute}+{minutes}."
            )
        );
        var total = ColumnArithmetic.Add(write, minute, minutes);
        var carry = total >= 60;
        if (carry)
        {
            write.Say($"{write.Difference(total, 60)}, carry 1.");
            total -= 60;
        }

        write.Say($"{write.Pick("hours", "now the hours", "next the hours")}: {write.Sum(hour, hours)}.");
        hour += hours;
        if (carry)
        {
            write.Say($"{write.Pick("add the carry", "with the carry")}, {hour}+1{write.Is()}{++hour}.");
        }
        if (hour > 12)
        {
            write.Say($"{hour}>12, {write.Difference(hour, 12)}.");
            hour -= 12;
        }

        return Join(write, hour, total);
    }

    static string Earlier(SolutionWriter write, int hour, int minute, int hours, int minutes)
    {
        write.Say(
            write.Pick(
                $"we take {minutes} from {minute} minutes.",
                $"minutes first: {minute}-{minutes}.",
                $"first the minutes, {minute}-{minutes}."
            )
        );
        var borrowed = minute < minutes;
        if (borrowed)
        {
            write.Say($"{minute}<{minutes}, {write.So()} {minute}+60{write.Is()}{minute + 60}, carry 1.");
            minute += 60;
        }

        minute = ColumnArithmetic.Subtract(write, minute, minutes);
        if (borrowed)
        {
            write.Say($"{write.Pick("add the carry", "with the carry")}, {hours}+1{write.Is()}{++hours}.");
        }
        write.Say(
            hour > hours
                ? $"{write.Pick("hours", "now the hours", "next the hours")}: {write.Difference(hour, hours)}."
                : $"{write.Pick("hours", "now the hours", "next the hours")}: "
                    + $"{hour}+12{write.Is()}{hour + 12}, {write.Difference(hour + 12, hours)}."
        );
        hour = hour > hours ? hour - hours : hour + 12 - hours;
        return Join(write, hour, minute);
    }

    static string Join(SolutionWriter write, int hour, int minute)
    {
        if (write.Chance(0.5))
        {
            write.Say($"hour {hour} and minute {minute:00}.");
        }
        return Show(hour, minute);
    }
}

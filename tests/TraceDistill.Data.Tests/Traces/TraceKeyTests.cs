using FsCheck.Xunit;
using TraceDistill.Data.Traces;
using Xunit;

namespace TraceDistill.Data.Tests.Traces;

public sealed class TraceKeyTests
{
    [Property]
    public bool Of_AnIdOfThisProgram_GivesItBack(ulong high, ulong low)
    {
        var key = new TraceKey(high, low);
        return TraceKey.Of(key.ToString()) == key
            && key.ToString().Length == 32
            && TraceKey.Read(Convert.FromHexString(key.ToString())) == key
            && TraceKey.Unpack(TraceKey.Pack([key, default, key])).SequenceEqual([key, default, key]);
    }

    [Property]
    public bool CompareTo_IsTheOrderOfTheIds(ulong high, ulong low, ulong otherHigh, ulong otherLow)
    {
        var (one, other) = (new TraceKey(high, low), new TraceKey(otherHigh, otherLow));
        return Math.Sign(one.CompareTo(other)) == Math.Sign(string.CompareOrdinal(one.ToString(), other.ToString()));
    }

    [Fact]
    public void Of_AnyOtherId_IsAKeyOfItsOwn()
    {
        string[] ids = ["", "t1", "t2", new string('x', 32), new string('-', 32), " 0123456789abcdef0123456789abcde"];

        Assert.Equal(ids.Length, ids.Select(id => TraceKey.Of(id)).Distinct().Count());
    }
}

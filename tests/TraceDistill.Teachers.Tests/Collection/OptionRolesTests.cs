using System.Reflection;
using TraceDistill.Data.Options;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Options;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

public sealed class OptionRolesTests
{
    static readonly PropertyInfo[] Options = typeof(GenerateOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance);

    [Fact]
    public void All_OptionsOfGenerate_HaveARole() =>
        Assert.Equal(Options.Select(option => option.Name).Order(), OptionRoles.All.Keys.Order());

    [Fact]
    public void All_OptionsThatChangeWhatComesOut_AreNotCalledOperational()
    {
        foreach (var option in Options.Where(option => option.IsDefined(typeof(OperationalAttribute))))
        {
            Assert.True(OptionRoles.All[option.Name] == OptionRole.Operation, option.Name);
        }
    }
}

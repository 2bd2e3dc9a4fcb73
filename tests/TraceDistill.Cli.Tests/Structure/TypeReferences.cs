using System.Reflection;
using System.Reflection.Emit;

namespace TraceDistill.Cli.Tests.Structure;

/// <summary>One type that names another, in a signature, an attribute or the code of a method.</summary>
readonly record struct TypeReference(Type From, Type To);

/// <summary>Reads from compiled assemblies which types name which others. Constants and <c>nameof</c> leave no trace there.</summary>
static class TypeReferences
{
    const BindingFlags Declared =
        BindingFlags.DeclaredOnly | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static;

    static readonly Dictionary<short, OpCode> OpCodesByValue = typeof(OpCodes)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => code.Value);

    /// <summary>References of an assembly's types to types that are wanted, each between outermost types and once.</summary>
    public static IEnumerable<TypeReference> Of(Assembly assembly, Func<Type, bool> isWanted) =>
        from type in assembly.GetTypes()
        let outer = Outermost(type)
        where isWanted(outer)
        from named in Named(type).SelectMany(Parts).Select(Outermost).Distinct()
        where named != outer && isWanted(named)
        group new TypeReference(outer, named) by (outer, named) into same
        select same.First();

    /// <summary>The type that a nested one, or one that the compiler made for a lambda or an iterator, is written in.</summary>
    static Type Outermost(Type type)
    {
        while (type.DeclaringType is { } outer)
        {
            type = outer;
        }

        return type;
    }

    static IEnumerable<Type> Named(Type type)
    {
        IEnumerable<Type?> named =
        [
            type.BaseType,
            .. type.GetInterfaces(),
            .. type.GetGenericArguments().SelectMany(argument => argument.GetGenericParameterConstraints()),
            .. Attributes(type),
            .. type.GetFields(Declared).SelectMany(field => (IEnumerable<Type>)[field.FieldType, .. Attributes(field)]),
            .. type.GetProperties(Declared).SelectMany(Attributes),
            .. type.GetMethods(Declared).SelectMany(method => (IEnumerable<Type>)[method.ReturnType, .. Signature(method)]),
            .. type.GetConstructors(Declared).SelectMany(Signature),
        ];
        return named.OfType<Type>();
    }

    static IEnumerable<Type> Attributes(MemberInfo member) =>
        member
            .GetCustomAttributesData()
            .SelectMany(attribute =>
                (IEnumerable<Type>)
                    [attribute.AttributeType, .. attribute.ConstructorArguments.Select(argument => argument.Value).OfType<Type>()]
            );

    static IEnumerable<Type> Signature(MethodBase method) =>
        [
            .. method.GetParameters().Select(parameter => parameter.ParameterType),
            .. method.IsGenericMethod ? method.GetGenericArguments().SelectMany(argument => argument.GetGenericParameterConstraints()) : [],
            .. Attributes(method),
            .. method.GetMethodBody() is { } body ? Body(method, body) : [],
        ];

    static IEnumerable<Type> Body(MethodBase method, MethodBody body) =>
        [
            .. body.LocalVariables.Select(local => local.LocalType),
            .. body
                .ExceptionHandlingClauses.Where(clause => clause.Flags == ExceptionHandlingClauseOptions.Clause)
                .Select(clause => clause.CatchType!),
            .. Tokens(body.GetILAsByteArray()!).SelectMany(token => Member(method, token)),
        ];

    static IEnumerable<Type> Member(MethodBase method, int token)
    {
        var ofType = method.DeclaringType is { IsGenericType: true } declaring ? declaring.GetGenericArguments() : null;
        var ofMethod = method.IsGenericMethod ? method.GetGenericArguments() : null;
        return method.Module.ResolveMember(token, ofType, ofMethod) switch
        {
            Type type => [type],
            FieldInfo field => [field.DeclaringType!, field.FieldType],
            MethodInfo called => [called.DeclaringType!, called.ReturnType, .. called.IsGenericMethod ? called.GetGenericArguments() : []],
            { DeclaringType: { } type } => [type],
            _ => [],
        };
    }

    /// <summary>Metadata tokens that a method's instructions name: types, fields and methods.</summary>
    static IEnumerable<int> Tokens(byte[] code)
    {
        for (var at = 0; at < code.Length; )
        {
            var value = code[at] == 0xFE ? unchecked((short)(0xFE00 | code[at + 1])) : code[at];
            var instruction = OpCodesByValue[value];
            at += instruction.Size;
            if (
                instruction.OperandType
                is OperandType.InlineField
                    or OperandType.InlineMethod
                    or OperandType.InlineTok
                    or OperandType.InlineType
            )
            {
                yield return BitConverter.ToInt32(code, at);
            }

            at += instruction.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => sizeof(int) * (1 + BitConverter.ToInt32(code, at)),
                _ => 4,
            };
        }
    }

    /// <summary>A type, or what an array, pointer or generic type is made of.</summary>
    static IEnumerable<Type> Parts(Type type) =>
        type.HasElementType ? Parts(type.GetElementType()!)
        : type.IsGenericParameter ? []
        : type.IsGenericType && !type.IsGenericTypeDefinition
            ? [type.GetGenericTypeDefinition(), .. type.GetGenericArguments().SelectMany(Parts)]
        : type.IsFunctionPointer
            ? [.. Parts(type.GetFunctionPointerReturnType()), .. type.GetFunctionPointerParameterTypes().SelectMany(Parts)]
        : [type];
}

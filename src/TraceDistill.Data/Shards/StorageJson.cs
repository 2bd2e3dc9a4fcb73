using System.Text.Json.Serialization;

namespace TraceDistill.Data.Shards;

/// <summary>JSON form of manifests and shard metadata: snake_case names, lower-case words for choices.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DictionaryKeyPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    WriteIndented = true,
    NewLine = "\n",
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    Converters = [
        typeof(LowerCase<TokenIdentity>),
        typeof(LowerCase<LogprobKind>),
        typeof(LowerCase<SoftTargetLayout>),
        typeof(LowerCase<BeginOfSequence>),
    ]
)]
[JsonSerializable(typeof(ShardManifest))]
[JsonSerializable(typeof(ShardMetadata))]
partial class StorageJson : JsonSerializerContext;

/// <summary>Writes the values of an enumeration as lower-case words and accepts nothing else.</summary>
sealed class LowerCase<T>() : JsonStringEnumConverter<T>(System.Text.Json.JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false)
    where T : struct, Enum;

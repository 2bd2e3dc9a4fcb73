using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Data.Options;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Training.Distillation;

/// <summary>Identity of a training, by which a folder is known to hold this very run.</summary>
static class TrainingIdentity
{
    /// <summary>The settings that decide what comes out of a run; those that do not, and places of files, have one value.</summary>
    public static TrainOptions Deciding(TrainOptions options) =>
        (TrainOptions)options.Deciding() with
        {
            Traces = [.. options.Traces.Select(set => set with { Path = "" })],
            KdAlpha = options.Objectives.Count > 0 ? null : options.KdAlpha ?? TrainOptions.DefaultAlpha,
            Problems = null,
            Pictures = [],
            Student = null,
            InitFrom = null,
            Tokenizer = null,
            TeacherTokenizer = null,
            Teacher = null,
            TeacherDevice = DeviceChoice.Auto,
            TeacherPrompt = null,
            TeacherProblems = [],
            Teachers =
            [
                .. options.Teachers.Select(teacher =>
                    teacher with
                    {
                        Model = teacher.Model is null ? null : "",
                        Scores = [.. teacher.Scores.Select(_ => "")],
                        Device = DeviceChoice.Auto,
                    }
                ),
            ],
            Peers = [.. options.Peers.Select(peer => peer with { Student = null })],
            DataloaderNumWorkers = 0,
            EvalTraces = null,
            EvalProblems = null,
            Rehearsal = options.Rehearsal is { } rehearsal ? rehearsal with { Traces = [] } : null,
            Ewc = options.Ewc is { } ewc ? ewc with { Traces = [] } : null,
        };

    /// <summary>
    /// Everything that decides a run: the settings, the first weights and the very tokens and targets. Where files lie does not, nor what
    /// their fields are called or is computed twice.
    /// </summary>
    public static string Of(TrainOptions options, Tokenizer tokenizer, IReadOnlyList<IDecoderWeights> models, IReadOnlyList<byte[]> digests)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(JsonSerializer.SerializeToUtf8Bytes(Deciding(options)));
        hash.AppendData(Encoding.UTF8.GetBytes(tokenizer.Hash));
        foreach (var model in models)
        {
            WeightsDigest.Append(hash, model);
        }

        foreach (var digest in digests)
        {
            hash.AppendData(digest);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

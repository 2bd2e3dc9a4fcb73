Console.Error.WriteLine(TraceDistill.Training.Native.TorchLibrary.Status);

// A main program for the F# compiler, which its package has as a library: fsc's options, and the reference assemblies.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using FSharp.Compiler.SourceCodeServices;
using Microsoft.FSharp.Control;
using Microsoft.FSharp.Core;

static class Compiler {
    static int Main(string[] arguments) {
        if (arguments.SequenceEqual(new[] {"--version"})) {
            Console.WriteLine("F# " + typeof(Unit).Assembly.GetName().Version + ", .NET Core " + Environment.Version);
            return 0;
        }
        string home = Path.GetDirectoryName(typeof(Compiler).Assembly.Location);
        var options = new List<string> {
            "fsc", "--nologo", "--target:exe", "--targetprofile:mscorlib", "--noframework", "--simpleresolution", "--nowin32manifest"
        };
        foreach (string path in Directory.GetFiles(Path.Combine(home, "reference"), "*.dll")) options.Add("-r:" + path);
        options.Add("-r:" + Path.Combine(home, "FSharp.Core.dll"));
        options.AddRange(arguments);
        MethodInfo create = typeof(FSharpChecker).GetMethod("Create");
        var checker = (FSharpChecker) create.Invoke(null, create.GetParameters().Select(_ => (object) null).ToArray());
        var result = FSharpAsync.RunSynchronously(checker.Compile(options.ToArray(), null), null, null);
        foreach (FSharpErrorInfo message in result.Item1) Console.Error.WriteLine(message);
        return result.Item2;
    }
}

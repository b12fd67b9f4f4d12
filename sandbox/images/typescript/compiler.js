// tsc, kept warm: reads requests on standard input and answers on standard output until that ends.
//
// A request is "LENGTH NAME OPTION...\n" and LENGTH bytes of source; an answer "STATUS COUNT\n", then what the compiler
// said and the emitted files, each as "LENGTH NAME\n" and bytes. It compiles and never runs anything, and reads no other
// files than those of its own library. STATUS 75 says that the compiler itself gave up, and that this process is not to
// be used again.
//
// What is kept from one request to the next are the parsed files of the library, which programs share as they do in the
// compiler's own language service; each request has a checker of its own. The library is checked with a program only
// where the program declares a global name that the library has too: no other program can change what is found there.
'use strict';
const ts = require('/usr/local/lib/node_modules/typescript/lib/typescript.js');
const fs = require('fs');
const path = require('path');

const LIBRARY = path.dirname(require.resolve('/usr/local/lib/node_modules/typescript/lib/typescript.js'));
const parsed = new Map(); // library file and language version -> SourceFile

function libraryFile(name, version) {
  const key = `${name} ${typeof version === 'object' ? JSON.stringify(version) : version}`;
  if (!parsed.has(key)) {
    const text = fs.readFileSync(name, 'utf8');
    parsed.set(key, ts.createSourceFile(name, text, version, false));
  }
  return parsed.get(key);
}

function compile(name, text, options) {
  const made = [];
  const inLibrary = (file) => path.dirname(file) === LIBRARY;
  const host = {
    fileExists: (file) => file === name || (inLibrary(file) && fs.existsSync(file)),
    readFile: (file) => (file === name ? text : inLibrary(file) ? fs.readFileSync(file, 'utf8') : undefined),
    directoryExists: (folder) => folder === LIBRARY || folder === '/work',
    getDirectories: () => [],
    realpath: (file) => file,
    getSourceFile: (file, version) => {
      if (file === name) return ts.createSourceFile(file, text, version, false);
      return inLibrary(file) && fs.existsSync(file) ? libraryFile(file, version) : undefined;
    },
    getDefaultLibFileName: (set) => path.join(LIBRARY, ts.getDefaultLibFileName(set)),
    getDefaultLibLocation: () => LIBRARY,
    writeFile: (file, content) => made.push([path.basename(file), content]),
    getCurrentDirectory: () => '/work',
    getCanonicalFileName: (file) => file,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => '\n',
    getEnvironmentVariable: () => '',
  };
  const asked = ts.parseCommandLine([name, ...options], { ...ts.sys, readFile: host.readFile, fileExists: host.fileExists });
  const program = ts.createProgram({
    rootNames: asked.fileNames, options: asked.options, host, configFileParsingDiagnostics: asked.errors,
  });
  let found = [...asked.errors, ...program.getSyntacticDiagnostics()];
  if (found.length === 0) {
    found = [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()];
    if (found.length === 0) {
      const own = program.getSourceFile(name);
      found = touchesLibrary(program, own) ? [...program.getSemanticDiagnostics()] : [...program.getSemanticDiagnostics(own)];
    }
  }
  const emitted = program.emit(program.getSourceFile(name));
  found.push(...emitted.diagnostics);
  const failed = found.some((one) => one.category === ts.DiagnosticCategory.Error);
  const status = !failed ? 0 : emitted.emitSkipped ? 1 : 2;
  return { status, said: ts.formatDiagnostics(ts.sortAndDeduplicateDiagnostics(found), host), made };
}

// Whether the program could change what is found in the library, or takes in anything beside it: then all is checked.
function touchesLibrary(program, own) {
  program.getTypeChecker(); // binds every file: from here on each knows what it declares
  const others = program.getSourceFiles().filter((file) => file !== own);
  if (ts.isExternalModule(own) || own.libReferenceDirectives.length > 0) return true;
  if (others.some((file) => !program.isSourceFileDefaultLibrary(file))) return true;
  const augments = (node) =>
    ts.isModuleDeclaration(node) && (ts.isStringLiteral(node.name) || (node.flags & ts.NodeFlags.GlobalAugmentation) !== 0);
  if (own.statements.some(augments)) return true;
  const names = [...(own.locals ?? new Map()).keys()];
  return others.some((file) => names.some((each) => file.locals?.has(each)));
}

let waiting = Buffer.alloc(0);
process.stdin.on('data', (chunk) => {
  waiting = waiting.length ? Buffer.concat([waiting, chunk]) : chunk;
  const end = waiting.indexOf(10);
  if (end < 0) return;
  const [length, name, ...options] = waiting.toString('utf8', 0, end).split(' ');
  if (waiting.length < end + 1 + Number(length)) return;
  const text = waiting.toString('utf8', end + 1, end + 1 + Number(length));
  waiting = waiting.subarray(end + 1 + Number(length));
  let answer;
  try {
    answer = compile(`/work/${name}`, text, options);
  } catch (error) {
    answer = { status: 75, said: String(error && error.message), made: [] };
  }
  const parts = [['said', answer.said], ...answer.made].map(([title, content]) => {
    const bytes = Buffer.from(content);
    return Buffer.concat([Buffer.from(`${bytes.length} ${title}\n`), bytes]);
  });
  const all = Buffer.concat([Buffer.from(`${answer.status} ${answer.made.length}\n`), ...parts]);
  for (let sent = 0; sent < all.length; ) sent += fs.writeSync(1, all, sent);
});

// Code with colours, in any language: comments, strings, numbers and words that many languages share.

const KEYWORDS = new Set(
  (
    "abstract and as assert async auto await begin bool boolean break byte case catch chan char class const continue " +
    "def default defer del delete do done double elif else elsif end enum esac except export extends extern false False " +
    "fi final finally float fn for foreach from func function global go goto if impl implements import in include int " +
    "interface is lambda let local long loop match mod module mut namespace new nil None nonlocal not null object of or " +
    "package pass print private protected pub public raise range rec record require return self short sizeof static " +
    "string struct super switch template then this throw throws trait true True try type typedef union unless unsigned " +
    "until use using val var virtual void when where while with yield SELECT FROM WHERE GROUP ORDER BY JOIN ON AND OR"
  ).split(" "),
);

const COMMENT = {
  hash: /#[^\n]*/y,
  slash: /\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)/y,
  dash: /--[^\n]*/y,
  lisp: /;[^\n]*|#\|[^]*?(?:\|#|$)/y,
  ml: /\(\*[^]*?(?:\*\)|$)/y,
};
const STYLE = { lua: "dash", sql: "dash", haskell: "dash", racket: "lisp", lisp: "lisp", ocaml: "ml" };
const HASHES = ["python", "bash", "ruby", "perl", "r", "julia", "elixir", ""];

const STRING = /"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\\n])*(?:"|$)|'(?:\\.|[^'\\\n])*(?:'|$)|`(?:\\.|[^`\\])*(?:`|$)/y;
const NUMBER = /\b(?:0[xX][\da-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\b/y;
const WORD = /[A-Za-z_$][\w$]*/y;

// Characters that cannot be seen, or that turn text around: shown by their code.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const HIGHLIGHTED = 60000; // characters; longer texts stay plain, so that the page stays quick

/** Text as nodes, what cannot be seen made visible. */
function visible(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(UNSEEN)) {
    if (found.index > at) nodes.push(text.slice(at, found.index));
    const code = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    nodes.push(el("span", { class: "unseen", title: "a character that cannot be seen" }, `U+${code}`));
    at = found.index + found[0].length;
  }
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}

function tokenAt(text, at, comment) {
  for (const [kind, pattern] of [["comment", comment], ["string", STRING], ["number", NUMBER], ["word", WORD]]) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found && found[0]) return [kind === "word" && !KEYWORDS.has(found[0]) ? "" : kind, found[0]];
  }
  return ["", text[at]];
}

/** A <pre> with the code; ``language`` is one of the harness's names. */
function codeBlock(text, language) {
  const code = el("code", {});
  if (text.length > HIGHLIGHTED || language === undefined) {
    code.append(...visible(text));
    return el("pre", { tabindex: 0 }, code);
  }
  const comment = COMMENT[STYLE[language] ?? (HASHES.includes(language) ? "hash" : "slash")];
  let plain = "";
  for (let at = 0; at < text.length; ) {
    const [kind, token] = tokenAt(text, at, comment);
    at += token.length;
    if (!kind) {
      plain += token;
      continue;
    }
    code.append(...visible(plain), el("span", { class: `t-${kind}` }, ...visible(token)));
    plain = "";
  }
  code.append(...visible(plain));
  return el("pre", { tabindex: 0 }, code);
}

// From a score to its problems, from a problem to prompt, completion, code and evidence. What is shown stands in the
// address: #/RUN/CHECK, #/RUN/CHECK/PROBLEM/SAMPLE.

const OUTCOMES = data.outcomes; // letter -> outcome
const SHOWN = 400; // problems of a list before "show all"
const KEPT = 60; // parts in memory

const viewer = document.getElementById("viewer");
const parts = new Map();
const arriving = new Map();

const trusted = window.trustedTypes
  ? window.trustedTypes.createPolicy("qceval", { createScriptURL: (url) => url })
  : { createScriptURL: (url) => url };

// A page opened from a disk may read no files, but it may load scripts: each side file calls this.
window.qceval = (name, value) => arriving.get(name)?.(value);

function load(name) {
  if (!parts.has(name)) parts.set(name, fetched(name));
  for (const oldest of parts.keys()) {
    if (parts.size <= KEPT) break;
    parts.delete(oldest);
  }
  return parts.get(name);
}

function fetched(name) {
  const inside = document.getElementById(`part-${name}`);
  if (inside) return Promise.resolve(JSON.parse(inside.textContent));
  return new Promise((resolve, reject) => {
    const file = `${data.files}/${name}.js`;
    const script = document.createElement("script");
    script.onerror = () => {
      parts.delete(name);
      script.remove();
      reject(new Error(`${decodeURIComponent(file)} is not there: the folder belongs beside this page`));
    };
    arriving.set(name, (value) => {
      arriving.delete(name);
      script.remove();
      resolve(value);
    });
    script.src = trusted.createScriptURL(file);
    document.head.append(script);
  });
}

/** The row of this number out of the parts of a run or sheet. */
async function rowOf(prefix, starts, number) {
  const part = starts.findLastIndex((start) => start <= number);
  return part < 0 ? null : (await load(`${prefix}/${part}`))[number - starts[part]];
}

// -- one run, read ---------------------------------------------------------------------------------

async function opened(run) {
  const [problems, outcomes] = await Promise.all([load(`${run.sheet}/index`), load(`${run.id}/index`)]);
  let first = 0;
  const firsts = outcomes.counts.map((count) => (first += count) - count);
  return { run, problems, outcomes, firsts };
}

const lettersOf = (open, check, number) => {
  const first = open.firsts[number];
  return (open.outcomes.outcomes[check] ?? "").slice(first, first + open.outcomes.counts[number]);
};

function pill(letter, times = 0) {
  const outcome = OUTCOMES[letter];
  return el("span", { class: `pill o-${outcome}` }, words(outcome), times > 1 ? ` ×${times}` : "");
}

function address(...pieces) {
  return `#/${pieces.map((piece) => encodeURIComponent(piece)).join("/")}`;
}

// -- the list of problems --------------------------------------------------------------------------

const filters = { outcome: "", text: "", all: false, of: "" };

function listPage(open, check) {
  const of = `${open.run.id} ${check}`;
  if (filters.of !== of) Object.assign(filters, { outcome: "", text: "", all: false, of });
  const list = el("ol", { class: "problems" });
  const search = el("input", { type: "search", id: "problem-filter", placeholder: "Filter problems", "aria-label": "Filter problems" });
  search.value = filters.text;
  const chips = el("div", { class: "chips", role: "group", "aria-label": "Outcomes" });
  const redraw = () => list.replaceChildren(...problemLines(open, check, () => redraw()));
  search.addEventListener("input", () => {
    filters.text = search.value;
    redraw();
  });
  for (const [letter, count] of outcomesOf(open, check)) {
    const chip = el("button", { type: "button", class: "chip", "aria-pressed": String(filters.outcome === letter) },
      letter ? pill(letter) : "all", ` ${count}`);
    chip.addEventListener("click", () => {
      filters.outcome = letter;
      for (const each of chips.children) each.setAttribute("aria-pressed", String(each === chip));
      redraw();
    });
    chips.append(chip);
  }
  redraw();
  return [runFacts(open.run, check), el("div", { class: "tools" }, chips, search), list];
}

function outcomesOf(open, check) {
  const counts = new Map([["", open.problems.problems.length]]);
  for (let number = 0; number < open.problems.problems.length; number += 1) {
    for (const letter of new Set(lettersOf(open, check, number))) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  }
  return [...counts].sort(([a], [b]) => Object.keys(OUTCOMES).indexOf(a) - Object.keys(OUTCOMES).indexOf(b));
}

function problemLines(open, check, redraw) {
  const wanted = filters.text.toLowerCase();
  const numbers = [...open.problems.problems.keys()].filter((number) => {
    const letters = lettersOf(open, check, number);
    return letters && (!filters.outcome || letters.includes(filters.outcome)) &&
      open.problems.problems[number].toLowerCase().includes(wanted);
  });
  const shown = filters.all ? numbers : numbers.slice(0, SHOWN);
  const lines = shown.map((number) => problemLine(open, check, number));
  if (!lines.length) lines.push(el("li", { class: "quiet" }, "No problem is like that."));
  if (shown.length < numbers.length) {
    const more = el("button", { type: "button", class: "chip" }, `show all ${numbers.length}`);
    more.addEventListener("click", () => {
      filters.all = true;
      redraw();
    });
    lines.push(el("li", {}, more));
  }
  return lines;
}

function problemLine(open, check, number) {
  const letters = lettersOf(open, check, number);
  const times = (letter) => [...letters].filter((each) => each === letter).length;
  const pills = Object.keys(OUTCOMES).filter((letter) => letters.includes(letter)).map((letter) => pill(letter, times(letter)));
  const sample = filters.outcome ? letters.indexOf(filters.outcome) : 0;
  return el("li", {}, el("a", { href: address(open.run.id, check, open.problems.problems[number], sample) },
    el("span", { class: "id" }, visible(open.problems.problems[number])),
    open.problems.hits?.[number] ? el("span", { class: "hit" }, "in the corpus") : null,
    el("span", { class: "count" }, letters.length > 1 ? `${times("p")}/${letters.length}` : ""),
    el("span", { class: "pills" }, pills)));
}

function runFacts(run, check) {
  const row = data.rows[run.row];
  const scores = data.columns.flatMap((column, at) => {
    const cell = data.cells.find((each) => each.run === run.id && each.column === at);
    return cell && column.check === check ? [[column.metric, cell]] : [];
  });
  return el("div", { class: "facts" },
    scores.map(([metric, cell]) => el("p", { class: "big" }, `${percent(cell.value)} % `,
      el("small", {}, `${interval(cell)} · ${metric} · ${cell.problems} problems, ${cell.samples} samples`))),
    el("p", { class: "quiet" }, visible([row.name, ...run.facts].join(" · "))),
    run.checks.length > 1
      ? el("p", { class: "checks" }, "Scores: ", run.checks.map((each) => el("a", { class: "chip", href: address(run.id, each),
          "aria-current": each === check ? "page" : null }, each)))
      : null,
    run.notes.map((note) => el("p", { class: "note" }, visible(note))));
}

// -- one problem -----------------------------------------------------------------------------------

async function problemPage(open, check, problem, sample) {
  const number = open.problems.problems.indexOf(problem);
  if (number < 0) return [el("p", {}, "There is no such problem in this run.")];
  const count = open.outcomes.counts[number];
  const at = Math.min(Math.max(0, sample), count - 1);
  const [found, asked] = await Promise.all([
    rowOf(open.run.id, open.outcomes.starts, open.firsts[number] + at),
    rowOf(open.run.sheet, open.problems.starts, number),
  ]);
  const [prompt, about] = asked ?? [[], {}];
  const pills = open.run.checks.map((each) => el("span", { class: "check" },
    open.run.checks.length > 1 ? `${each} ` : "", pill(lettersOf(open, each, number)[at])));
  const hit = open.problems.hits?.[number];
  return [
    el("p", { class: "verdict" }, pills),
    hit ? el("p", { class: "note" }, visible(`In the corpus: ${hit}`)) : null,
    count > 1 ? sampleStrip(open, check, number, at) : null,
    evidenceSection(found),
    promptSection(prompt, about, open.problems.why),
    completionSection(found, about, open.outcomes.why),
    codeSection(found, about),
  ].flat();
}

function sampleStrip(open, check, number, at) {
  const letters = [...lettersOf(open, check, number)];
  const problem = open.problems.problems[number];
  return el("nav", { class: "samples", "aria-label": "Samples" }, letters.map((letter, each) =>
    el("a", { href: address(open.run.id, check, problem, each), class: `o-${OUTCOMES[letter]}`,
      "aria-current": each === at ? "true" : null, title: `sample ${each}: ${words(OUTCOMES[letter])}` }, String(each))));
}

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), ...children);
}

function evidenceSection(found) {
  const evidence = Object.entries(found?.evidence ?? {});
  const measures = Object.entries(found?.measures ?? {}).map(([name, value]) => [name, String(value)]);
  if (!evidence.length && !measures.length) return [];
  const lines = [...evidence, ...measures].flatMap(([name, text]) => [el("dt", {}, visible(name)), el("dd", {}, codeBlock(text))]);
  return [section("Test evidence", el("dl", {}, lines))];
}

function promptSection(prompt, about, why) {
  if (!prompt.length) return [section("Prompt", el("p", { class: "quiet" }, `Not shown: ${why || "the benchmark here does not know this problem"}.`))];
  const groups = Object.entries(about.groups ?? {}).map(([name, value]) => `${name} ${value}`).join(", ");
  const blocks = prompt.map(([title, text]) => [el("h4", {}, visible(title)), codeBlock(text, title === "text to continue" ? about.language : undefined)]);
  return [section("Prompt", groups ? el("p", { class: "quiet" }, visible(groups)) : null, blocks.flat())];
}

function completionSection(found, about, why) {
  if (found?.text === undefined) return [section("Completion", el("p", { class: "quiet" }, `Not there${why ? `: ${why}` : ""}.`))];
  const ended = found.finish_reason && `finish reason: ${words(found.finish_reason)}`;
  const facts = [ended, found.tokens && `${found.tokens} tokens`, found.prompt_tokens && `prompt ${found.prompt_tokens} tokens`];
  const thoughts = found.thoughts ? [el("details", {}, el("summary", {}, "Thoughts"), codeBlock(found.thoughts))] : [];
  return [section("Completion, raw", el("p", { class: "quiet" }, facts.filter(Boolean).join(" · ")), ...thoughts, codeBlock(found.text, about.language))];
}

function codeSection(found, about) {
  if (found?.text === undefined) return [];
  if (!found.code) return [section("Extracted code", el("p", { class: "quiet" }, visible(`None: ${found.no_code}.`)))];
  if (found.code === 1) return [section("Extracted code", el("p", { class: "quiet" }, "The completion as it is."))];
  return [section("Extracted code", codeBlock(found.code, about.language ?? "python"))];
}

// -- the way there and back ------------------------------------------------------------------------

let showing = 0;

async function show() {
  const turn = (showing += 1);
  const pieces = location.hash.startsWith("#/") ? location.hash.slice(2).split("/") : [];
  let wanted = [];
  try {
    wanted = pieces.map(decodeURIComponent);
  } catch {
    // a torn address opens the table
  }
  const run = data.runs.find((each) => each.id === wanted[0]);
  if (!run) {
    if (viewer.open) viewer.close();
    return;
  }
  const check = run.checks.includes(wanted[1]) ? wanted[1] : run.checks[0];
  const body = document.getElementById("viewer-body");
  let page;
  let open;
  try {
    open = await opened(run);
    page = wanted.length > 2 ? await problemPage(open, check, wanted[2], Number(wanted[3]) || 0) : listPage(open, check);
  } catch (error) {
    page = [el("p", { class: "note", role: "alert" }, error.message)];
  }
  if (turn !== showing) return; // another address since
  heading(run, check, wanted[2], open);
  body.replaceChildren(...page.filter(Boolean));
  body.scrollTop = 0;
  if (!viewer.open) viewer.showModal();
  document.getElementById("viewer-title").focus();
}

function heading(run, check, problem, open) {
  const title = document.getElementById("viewer-title");
  const way = document.getElementById("viewer-way");
  const sheet = data.sheets.find((each) => each.runs.includes(run.id));
  title.replaceChildren(...visible(problem ?? `${check} · ${data.rows[run.row].name}`));
  const links = [];
  if (problem !== undefined) {
    links.push(el("a", { href: address(run.id, check) }, "← ", visible(`${check} · ${data.rows[run.row].name}`)));
    const all = open ? open.problems.problems : [];
    const at = all.indexOf(problem);
    if (at > 0) links.push(el("a", { class: "previous", href: address(run.id, check, all[at - 1], 0) }, "previous"));
    if (at >= 0 && at < all.length - 1) links.push(el("a", { class: "next", href: address(run.id, check, all[at + 1], 0) }, "next"));
  } else {
    links.push(el("span", { class: "quiet" }, visible(sheet ? `${sheet.family} · ${sheet.rules}` : "")));
  }
  way.replaceChildren(...links);
}

function startViewer() {
  window.addEventListener("hashchange", show);
  viewer.addEventListener("close", () => {
    if (location.hash.startsWith("#/")) history.pushState(null, "", location.pathname + location.search);
    showing += 1;
  });
  document.getElementById("viewer-close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.target.matches("input, pre") || event.altKey || event.ctrlKey || event.metaKey) return;
    const link = { ArrowLeft: ".previous", ArrowRight: ".next" }[event.key];
    const found = link && viewer.querySelector(link);
    if (found) location.hash = found.hash;
  });
  show();
}

// Figures of a sheet, drawn for the width that there is. Each has a title, a description and its numbers as a table.

const MANY = 8; // series that get a colour of their own
const NARROW = 560;

function figure(title, note, draw, head, rows) {
  const box = el("div", { class: "drawing" });
  const numbers = el("details", { class: "numbers" }, el("summary", {}, "Numbers"));
  numbers.addEventListener("toggle", () => {
    if (numbers.open && numbers.children.length === 1) numbers.append(el("div", { class: "scroll" }, plainTable(head, rows)));
  });
  const made = el("figure", {}, el("figcaption", {}, el("strong", {}, visible(title)), note ? el("span", { class: "quiet" }, ` ${note}`) : ""), box, numbers);
  made.draw = () => box.replaceChildren(draw(Math.max(280, box.clientWidth || made.parentElement?.clientWidth || 600)));
  return made;
}

function plainTable(head, rows) {
  return el("table", { class: "plain" }, el("thead", {}, el("tr", {}, head.map((text) => el("th", { scope: "col" }, visible(text))))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((text, at) => (at ? el("td", {}, visible(String(text))) : el("th", { scope: "row" }, visible(String(text)))))))));
}

function drawing(width, height, title, description, ...children) {
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}. ${description}` }, ...children);
}

const text = (x, y, content, properties = {}) => svg("text", { x, y, ...properties }, content);
const line = (x1, y1, x2, y2, name) => svg("line", { x1, y1, x2, y2, class: name });
const hint = (content) => svg("title", {}, content);

/** A span of whole tens that holds all values (fractions). Beyond 1 only where one of them is. */
function span(values) {
  const low = Math.max(0, Math.floor(Math.min(...values) * 10 - 0.2) / 10);
  const most = Math.max(...values);
  const high = Math.min(most > 1 ? Infinity : 1, Math.ceil(most * 10 + 0.2) / 10);
  return [low, Math.max(high, low + 0.1)];
}

function ticks([low, high]) {
  const step = high - low > 0.6 ? 0.2 : high - low > 0.25 ? 0.1 : 0.05;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + 1e-9; at += 1) found.push(at * step);
  return found;
}

/** The best first. What the reference solutions reach is a line of its own where there are models. */
function cellsOf(column) {
  const all = data.cells.filter((cell) => cell.column === column).sort((a, b) => b.value - a.value);
  const models = all.filter((cell) => data.rows[cell.row].kind !== "reference solutions");
  return models.length ? models : all;
}

const nameOf = (cell) => data.rows[cell.row].label;

/** A published model's mark is a hollow diamond, ours a filled dot. */
function mark(x, y, row, name) {
  return data.rows[row].kind === "published"
    ? svg("path", { d: `M${x} ${y - 5}l5 5l-5 5l-5 -5z`, class: `hollow ${name}` })
    : svg("circle", { cx: x, cy: y, r: 4.5, class: `dot ${name}` });
}

// -- scores with their intervals ---------------------------------------------------------------------

function intervals(column) {
  const { check, metric, ceiling } = data.columns[column];
  const cells = cellsOf(column);
  const title = `${check}, ${metric}`;
  const draw = (width) => {
    const narrow = width < NARROW;
    const left = narrow ? 8 : Math.min(240, width * 0.34);
    const step = narrow ? 40 : 26;
    const right = width - 52;
    const domain = span(cells.flatMap((cell) => [cell.low ?? cell.value, cell.high ?? cell.value]));
    const x = (value) => left + ((value - domain[0]) / (domain[1] - domain[0])) * (right - left);
    const height = cells.length * step + 34;
    const grid = ticks(domain).flatMap((at) => [line(x(at), 4, x(at), height - 24, "grid"),
      text(x(at), height - 8, `${Math.round(100 * at)}`, { class: "tick", "text-anchor": "middle" })]);
    const top = ceiling !== null && ceiling >= domain[0] && ceiling <= domain[1] ? [line(x(ceiling), 4, x(ceiling), height - 24, "ceiling")] : [];
    const lines = cells.map((cell, at) => {
      const y = at * step + (narrow ? 30 : 18);
      const name = nameOf(cell);
      const label = narrow ? text(left, y - 12, short(name, Math.floor(width / 8)), { class: "label" })
        : text(left - 12, y + 4, short(name, Math.floor(left / 7.4)), { class: "label", "text-anchor": "end" });
      const whisker = cell.low === null ? [] : [line(x(cell.low), y, x(cell.high), y, "whisker"), line(x(cell.low), y - 4, x(cell.low), y + 4, "whisker"), line(x(cell.high), y - 4, x(cell.high), y + 4, "whisker")];
      return svg("g", {}, hint(`${name}: ${percent(cell.value)} %${cell.low === null ? ", published" : `, 95 % interval ${interval(cell)}`}`),
        label, ...whisker, mark(x(cell.value), y, cell.row, "c0"), text(width - 4, y + 4, percent(cell.value), { class: "number", "text-anchor": "end" }));
    });
    return drawing(width, height, title, `Scores of ${cells.length} models with 95 % intervals, best first`, ...grid, ...top, ...lines);
  };
  const rows = cells.map((cell) => [nameOf(cell), percent(cell.value), interval(cell), cell.problems || "", cell.samples || ""]);
  return figure(title, `percent, with 95 % intervals${ceiling === null ? "" : "; the dashed line is the ceiling"}`, draw, ["model", "%", "95 %", "problems", "samples"], rows);
}

// -- pass@k --------------------------------------------------------------------------------------------

function axes(width, height, domain, x, xticks, unit) {
  const left = 40;
  const bottom = height - 30;
  const y = (value) => bottom - ((value - domain[0]) / (domain[1] - domain[0])) * (bottom - 10);
  const grid = ticks(domain).flatMap((at) => [line(left, y(at), width - 8, y(at), "grid"), text(left - 8, y(at) + 4, `${Math.round(100 * at)}`, { class: "tick", "text-anchor": "end" })]);
  let last = -100;
  const below = xticks.flatMap((at) => {
    if (x(at) - last < 34) return [];
    last = x(at);
    return [text(x(at), height - 12, `${at}${unit}`, { class: "tick", "text-anchor": "middle" })];
  });
  return [y, [...grid, line(left, bottom, width - 8, bottom, "axis"), ...below]];
}

function legend(series) {
  return el("ul", { class: "legend" }, series.map(({ name, colour, hollow }) =>
    el("li", {}, el("span", { class: `swatch ${colour}${hollow ? " hollow" : ""}` }), visible(name))));
}

const colourOf = (at) => (at < MANY ? `c${at}` : "rest");
const restNote = (count) => (count > MANY ? `; ${MANY} in colour, ${count - MANY} more in grey` : "");

function curves(check, found) {
  const series = [...found].sort((a, b) => b[1].at(-1)[1] - a[1].at(-1)[1]).map(([row, points], at) => ({ name: data.rows[row].label, points, colour: colourOf(at) }));
  const most = Math.max(...series.map(({ points }) => points.at(-1)[0]));
  const title = `${check}: pass@k`;
  const draw = (width) => {
    const x = (k) => 48 + (Math.log(k) / Math.log(most)) * (width - 76);
    const domain = span(series.flatMap(({ points }) => points.map(([, value]) => value)));
    const [y, frame] = axes(width, 280, domain, x, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].filter((k) => k <= most), "");
    const paths = [...series].reverse().map(({ name, points, colour }) => svg("g", {},
      hint(`${name}: ${points.map(([k, value]) => `${k}: ${percent(value)}`).join(", ")}`),
      svg("path", { class: `curve ${colour}`, d: `M${points.map(([k, value]) => `${x(k).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}` }),
      ...points.map(([k, value]) => svg("circle", { cx: x(k), cy: y(value), r: 2.2, class: `dot ${colour}` }))));
    return el("div", {}, drawing(width, 280, title, `The chance of ${series.length} models that one of k samples passes, k up to ${most}`, ...frame, ...paths), legend(series.slice(0, MANY)));
  };
  return figure(title, `percent, k from 1 to ${most}${restNote(series.length)}`, draw, ["model", "k", "pass@k %"],
    series.flatMap(({ name, points }) => points.map(([k, value]) => [name, k, percent(value)])));
}

// -- outcomes ------------------------------------------------------------------------------------------

function outcomes(check, runs) {
  const kinds = Object.values(data.outcomes).filter((outcome) => runs.some((run) => run.outcomes[check]?.[outcome]));
  const rows = runs.filter((run) => run.outcomes[check]).map((run) => ({ name: data.rows[run.row].label, counts: run.outcomes[check], total: Object.values(run.outcomes[check]).reduce((a, b) => a + b, 0) }))
    .sort((a, b) => (b.counts.passed ?? 0) / b.total - (a.counts.passed ?? 0) / a.total);
  const title = `${check}: outcomes`;
  const draw = (width) => {
    const narrow = width < NARROW;
    const left = narrow ? 8 : Math.min(240, width * 0.34);
    const step = narrow ? 42 : 26;
    const bars = rows.map(({ name, counts, total }, at) => {
      let from = left;
      const y = at * step + (narrow ? 20 : 5);
      const pieces = kinds.filter((kind) => counts[kind]).map((kind) => {
        const wide = (counts[kind] / total) * (width - left - 8);
        const piece = svg("rect", { x: from, y, width: Math.max(0.5, wide - 1), height: 16, class: `o-${kind}` }, hint(`${name}: ${counts[kind]} of ${total} ${words(kind)}`));
        from += wide;
        return piece;
      });
      const label = narrow ? text(left, y - 6, short(name, Math.floor(width / 8)), { class: "label" }) : text(left - 12, y + 12, short(name, Math.floor(left / 7.4)), { class: "label", "text-anchor": "end" });
      return svg("g", {}, label, ...pieces);
    });
    const swatches = kinds.map((kind) => ({ name: words(kind), colour: `o-${kind}` }));
    return el("div", {}, drawing(width, rows.length * step + 8, title, "What became of the samples, by model", ...bars), legend(swatches));
  };
  return figure(title, "share of samples", draw, ["model", ...kinds.map(words)], rows.map(({ name, counts }) => [name, ...kinds.map((kind) => counts[kind] ?? 0)]));
}

// -- score against size ----------------------------------------------------------------------------------

function bySize(column) {
  const cells = data.cells.filter((cell) => cell.column === column && data.rows[cell.row].size && data.rows[cell.row].kind !== "reference solutions");
  if (new Set(cells.map((cell) => data.rows[cell.row].size)).size < 2) return null;
  const { check, metric } = data.columns[column];
  const stems = Map.groupBy(cells, (cell) => `${data.rows[cell.row].kind === "published" ? "published: " : ""}${data.rows[cell.row].stem}`);
  const sorted = [...stems].sort(([, a], [, b]) => (a[0].low === null) - (b[0].low === null) || b.length - a.length);
  const series = sorted.map(([name, own], at) => ({ name, colour: own.length > 1 || at < 3 ? colourOf(at) : "rest", hollow: own[0].low === null,
    own: own.sort((a, b) => data.rows[a.row].size - data.rows[b.row].size) }));
  const sizes = [...new Set(cells.map((cell) => data.rows[cell.row].size))].sort((a, b) => a - b);
  const title = `${check}, ${metric}, by model size`;
  const draw = (width) => {
    const [least, most] = [Math.log(sizes[0]) - 0.25, Math.log(sizes.at(-1)) + 0.25];
    const x = (size) => 48 + ((Math.log(size) - least) / (most - least)) * (width - 64);
    const domain = span(cells.flatMap((cell) => [cell.low ?? cell.value, cell.high ?? cell.value]));
    const [y, frame] = axes(width, 320, domain, x, sizes, "B");
    const drawn = [...series].reverse().map(({ own, colour, hollow }) => svg("g", {},
      svg("path", { class: `curve ${colour}${hollow ? " dashed" : ""}`, d: `M${own.map((cell) => `${x(data.rows[cell.row].size).toFixed(1)} ${y(cell.value).toFixed(1)}`).join("L")}` }),
      ...own.map((cell) => svg("g", {}, hint(`${nameOf(cell)}: ${percent(cell.value)} %${cell.low === null ? ", published" : ` (${interval(cell)})`}`),
        cell.low === null ? "" : line(x(data.rows[cell.row].size), y(cell.low), x(data.rows[cell.row].size), y(cell.high), `whisker ${colour}`),
        mark(x(data.rows[cell.row].size), y(cell.value), cell.row, colour)))));
    return el("div", {}, drawing(width, 320, title, `Scores of ${cells.length} models by billions of parameters`, ...frame, ...drawn),
      legend(series.filter(({ colour }) => colour !== "rest")));
  };
  return figure(title, `percent; billions of parameters, logarithmic${cells.some((cell) => cell.low === null) ? "; diamonds are published scores" : ""}`, draw,
    ["model", "size, B", "%", "95 %"], cells.map((cell) => [nameOf(cell), data.rows[cell.row].size, percent(cell.value), interval(cell)]));
}

// -- tables of two axes ------------------------------------------------------------------------------------

function heatTable(head, rows, corner) {
  return el("div", { class: "scroll" }, el("table", { class: "heat" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, corner), head.map((name) => el("th", { scope: "col" }, visible(name))))),
    el("tbody", {}, rows.map(([name, values]) => el("tr", {}, el("th", { scope: "row" }, visible(name)), values.map((value) => {
      const cell = el("td", {}, value === null || value === undefined ? "" : (100 * value).toFixed(0));
      if (value !== null && value !== undefined) {
        cell.style.setProperty("--share", `${Math.round(88 * value)}%`);
        if (value > 0.5) cell.className = value > 0.92 ? "top" : "high";
      }
      return cell;
    }))))));
}

function heat(found) {
  const caption = (more) => el("figcaption", {}, el("strong", {}, visible(found.title)), el("span", { class: "quiet" }, ` percent${more}`));
  if (found.tables) {
    const shown = found.tables.slice(0, MANY);
    const left = found.tables.length - shown.length;
    return el("figure", {}, caption(left ? `; ${MANY} models, ${left} more are in the scores` : ""), shown.map(([row, values]) => el("div", {},
      el("h4", {}, visible(data.rows[row].label)), heatTable(found.across, found.down.map((name, at) => [name, values[at]]), ""))));
  }
  const rows = found.rows.map(([row, values]) => [data.rows[row].label, values]);
  return el("figure", {}, caption(found.left_out > 0 ? `; ${found.left_out} more are not drawn` : ""), heatTable(found.columns, rows, "model"));
}

// -- all of a sheet ------------------------------------------------------------------------------------------

function figuresOf(sheet) {
  const runs = data.runs.filter((run) => sheet.runs.includes(run.id));
  const found = [];
  const checks = new Set();
  for (const column of sheet.columns) {
    found.push(intervals(column));
    const { check } = data.columns[column];
    if (!checks.has(check)) found.push(bySize(column));
    if (!checks.has(check) && runs.length) found.push(outcomes(check, runs));
    if (!checks.has(check) && sheet.curves[check]) found.push(curves(check, sheet.curves[check]));
    checks.add(check);
  }
  return [...found, ...sheet.heat.map(heat)].filter(Boolean);
}

function startCharts() {
  const redraw = (section) => {
    for (const each of section.querySelectorAll("figure")) each.draw?.();
  };
  for (const section of document.querySelectorAll("details[data-sheet]")) {
    const open = () => {
      const box = section.querySelector(".figures");
      if (!section.open || box.children.length) return;
      box.append(...figuresOf(data.sheets[Number(section.dataset.sheet)]));
      redraw(section);
    };
    section.addEventListener("toggle", open);
    open();
  }
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (width === window.innerWidth) return;
    width = window.innerWidth;
    for (const section of document.querySelectorAll("details[data-sheet][open]")) redraw(section);
  });
}

// Data of the page, and how elements are made. Text only ever enters the page as text: there is no markup from data.

const data = JSON.parse(document.getElementById("data").textContent);

/** An element with properties, classes as "class", listeners as functions "onclick", and children (text or nodes). */
function el(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

function svg(name, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), properties, children);
}

function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const percent = (value) => (100 * value).toFixed(1);
const words = (outcome) => outcome.replaceAll("_", " ");

function interval(cell) {
  return cell.low === null ? "" : `${percent(cell.low)}–${percent(cell.high)}`;
}

/** A short text for a small place; the whole of it belongs into a title. */
function short(text, size) {
  return text.length <= size ? text : `${text.slice(0, Math.max(1, size - 1))}…`;
}

// -- light and dark ------------------------------------------------------------------------------

function remembered(value) {
  try {
    if (value === undefined) return localStorage.getItem("qceval-theme");
    localStorage.setItem("qceval-theme", value);
  } catch {
    // no storage here: the choice lasts as long as the page
  }
  return null;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  for (const input of document.querySelectorAll("input[name=theme]")) input.checked = input.value === theme;
}

function startTheme() {
  const known = remembered();
  setTheme(["light", "dark"].includes(known) ? known : "auto");
  for (const input of document.querySelectorAll("input[name=theme]")) {
    input.addEventListener("change", () => {
      setTheme(input.value);
      remembered(input.value);
    });
  }
}

// The cells of the page.
const CELLS = DATA.cells;
const COUNT = CELLS.id.length;
const CODED = CELLS.coded;

/** The word of column `name` for cell `i`. */
function word(name, i) {
  const column = CODED[name];
  return column.values[column.codes[i]];
}

const INDEX = new Map(CELLS.id.map((id, i) => [id, i]));

/** A figure of `metric` for people, or a dash. */
function shown(metric, value) {
  if (value === null || value === undefined) return "–";
  const unit = (DATA.metrics[metric] || {}).unit;
  if (unit === "KiB") return value.toFixed(2);
  if (unit === "ms") return value.toFixed(3);
  if (unit === "") return value.toFixed(4);
  return NUMBER.format(Math.round(value));
}

function badge(text) {
  return el("span", { class: "badge " + text.replace(/[^A-Za-z_]/g, "") }, text.replaceAll("_", " "));
}

function cellLink(i, text) {
  return el("a", { href: "#cell=" + encodeURIComponent(CELLS.id[i]) }, text || CELLS.id[i]);
}

const CHUNKS = new Map();

/** The details of cell `i`: its chunk is unpacked when it is first needed. */
async function details(i) {
  const number = Math.floor(i / DATA.each);
  if (!CHUNKS.has(number)) {
    const packed = document.getElementById("details-" + number).textContent.trim();
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    CHUNKS.set(number, JSON.parse(await new Response(stream).text()));
  }
  return CHUNKS.get(number)[i % DATA.each];
}

/** A small line of a cell's figures over the runs, with a dot at each step; null without history. */
function spark(i) {
  const found = (DATA.history.series || {})[i];
  if (!found || found.v.filter((v) => v !== null).length < 2) return null;
  const known = found.v.filter((v) => v !== null);
  const low = Math.min(...known);
  const high = Math.max(...known);
  const x = (k) => 3 + (90 * k) / Math.max(1, found.v.length - 1);
  const y = (v) => (high === low ? 11 : 19 - (16 * (v - low)) / (high - low));
  let path = "";
  found.v.forEach((v, k) => {
    if (v !== null) path += (path ? "L" : "M") + x(k).toFixed(1) + " " + y(v).toFixed(1);
  });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 96 22");
  svg.setAttribute("role", "img");
  const told = known.length + " runs, from " + shown("npu_cycles", known[0]) + " to "
    + shown("npu_cycles", known[known.length - 1]) + " cycles, steps: " + found.s.length;
  svg.setAttribute("aria-label", told);
  const line = document.createElementNS(svg.namespaceURI, "path");
  line.setAttribute("d", path);
  svg.append(line);
  for (const step of found.s) {
    const dot = document.createElementNS(svg.namespaceURI, "circle");
    dot.setAttribute("cx", x(step.i).toFixed(1));
    dot.setAttribute("cy", y(found.v[step.i]).toFixed(1));
    dot.setAttribute("r", "2.6");
    svg.append(dot);
  }
  return svg;
}

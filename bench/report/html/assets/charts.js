// Charts: Vega draws the specifications of the page with the rows of the study that is looked at.
const DRAWN = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function chartConfig(width) {
  const text = colour("--text");
  const muted = colour("--muted");
  const line = colour("--line");
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: "transparent",
    font,
    params: [{ name: "foreground", value: text }, { name: "muted", value: muted }],
    axis: {
      labelColor: muted, titleColor: muted, gridColor: line, domainColor: muted, tickColor: line,
      labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", gridOpacity: 0.55,
    },
    legend: { labelColor: text, titleColor: muted, labelFontSize: 12, titleFontWeight: "normal",
      columns: width < 440 ? 2 : 4, labelLimit: 170,
      layout: { bottom: { anchor: "start", direction: "vertical", margin: 6 } } },
    text: { color: muted, fill: muted },
    view: { stroke: null },
    point: { cursor: "pointer" },
  };
}

/** Draw chart `name` with `rows` into the element; `none` says why there is nothing to draw. */
async function draw(where, name, rows, none, parameters) {
  const before = DRAWN.get(where);
  if (before) before.finalize();
  DRAWN.delete(where);
  where.drawn = () => draw(where, name, rows, none, parameters);
  if (rows.length === 0) {
    replace(where, el("p", { class: "empty" }, none));
    return;
  }
  const spec = structuredClone(DATA.charts[name]);
  spec.data = { values: rows };
  spec.params = (spec.params || []).map((p) => ({ ...p, value: (parameters || {})[p.name] ?? p.value }));
  // As many rows as there are layers.
  if (name === "layers") spec.height = 19 * Math.max(4, new Set(rows.map((row) => row.layer)).size);
  const config = chartConfig(where.clientWidth);
  spec.params = spec.params.concat(config.params);
  delete config.params;
  const result = await vegaEmbed(where, spec, {
    ast: true, renderer: "svg", actions: false, logLevel: 1, config,
    tooltip: { theme: document.documentElement.dataset.theme === "dark" ? "dark" : "light" },
  });
  DRAWN.set(where, result);
  label(where, spec.description);
}

/** One name for the whole drawing; what single marks say is in the tables beside it. */
function label(where, description) {
  const svg = where.querySelector("svg");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", description);
  for (const part of svg.querySelectorAll("[role], [aria-label], [aria-roledescription], [aria-hidden]")) {
    for (const name of ["role", "aria-label", "aria-roledescription", "aria-hidden"]) part.removeAttribute(name);
  }
}

function redrawAll() {
  for (const where of document.querySelectorAll(".chart")) if (where.drawn) where.drawn();
}

function cycleRows(study, rows) {
  const found = [];
  for (const row of rows) {
    const known = study.macs.map((macs, k) => [macs, row.cycles[k], row.cells[k]]).filter(([, c]) => c);
    for (const [macs, cycles, cell] of known) {
      const url = "#cell=" + encodeURIComponent(CELLS.id[cell]);
      found.push({ kind: "ours", variant: row.name, macs, cycles, url, what: word("source", cell) });
      if (known.length > 1) {
        const ideal = (known[0][1] * known[0][0]) / macs;
        found.push({ kind: "ideal", variant: row.name, macs, cycles: ideal, what: "ideal" });
      }
    }
    for (const other of row.published || []) {
      study.macs.forEach((macs, k) => {
        const cycles = other.cycles[k];
        if (cycles) found.push({ kind: "published", variant: row.name, macs, cycles, what: other.name });
      });
    }
  }
  return found;
}

function paretoRows(rows, place) {
  return rows.map((row) => [row, row.cells[place]]).filter(([, cell]) => cell !== null && cell !== undefined)
    .map(([row, i]) => ({
      variant: row.name, url: "#cell=" + encodeURIComponent(CELLS.id[i]),
      accuracy: CELLS.figures.accuracy[i], size: CELLS.figures.device_model_kib[i],
      cycles: CELLS.figures.npu_cycles[i], front: CELLS.front[i] ? "yes" : "no",
    })).filter((one) => one.accuracy !== null && one.size !== null && one.cycles !== null);
}

function rooflineRows(study, all) {
  const found = [];
  const roofs = new Map();
  for (const row of all) {
    row.cells.forEach((i, k) => {
      if (i === null || CELLS.intensity[i] === null) return;
      const macs = study.macs[k];
      const roof = CELLS.roof[i];
      const possible = roof === null ? macs : Math.min(macs, roof * CELLS.intensity[i]);
      found.push({
        kind: "ours", variant: row.name, macs, memory: row.place[0], possible,
        intensity: CELLS.intensity[i], rate: CELLS.rate[i], url: "#cell=" + encodeURIComponent(CELLS.id[i]),
      });
      if (roof !== null) roofs.set(row.place[0] + ", " + roof + (roof === 1 ? " byte" : " bytes") + " a cycle", roof);
    });
  }
  const at = found.map((one) => one.intensity);
  const bends = [...roofs.values()].map((roof) => Math.max(...study.macs) / roof);
  const [low, high] = [Math.min(...at) / 3, Math.max(...at, ...bends) * 3];
  for (const [memory, roof] of roofs) {
    for (const macs of study.macs) {
      const bend = macs / roof;
      const xs = [...new Set([low, Math.min(Math.max(bend, low), high), high])].sort((a, b) => a - b);
      xs.forEach((x, k) => found.push({
        kind: "roof", memory, roof: memory + macs, intensity: x, rate: Math.min(macs, roof * x),
        label: k === xs.length - 1 && memory === [...roofs.keys()][0] ? macs + " MACs" : null,
      }));
    }
  }
  return found;
}

async function layerRows(i) {
  const told = await details(i);
  const layers = (told.layers || []).map(([layer, causes]) => [layer, causes,
    Object.values(causes).reduce((a, b) => a + b, 0)]);
  const least = layers.length > 40 ? [...layers].sort((a, b) => b[2] - a[2])[39][2] : 0;
  const kept = layers.filter((one) => one[2] >= least);
  return {
    left: layers.length - kept.length,
    rows: kept.flatMap(([layer, causes]) => Object.entries(causes).map(([cause, cycles]) => ({ layer, cause, cycles }))),
  };
}

// A metric over the runs: one cell at a time, with its steps, and what changed in the tools.
const PICK = document.getElementById("series");
const ONLY_STEPS = document.getElementById("only-steps");

function figure(value) {
  if (value === null || value === undefined) return "–";
  if (DATA.unit === "KiB") return value.toFixed(2);
  if (DATA.unit === "" || DATA.unit === "ms") return value.toFixed(4);
  return NUMBER.format(Math.round(value));
}

function options() {
  const before = PICK.value;
  const kept = DATA.series.map((one, k) => [one, k]).filter(([one]) => !ONLY_STEPS.checked || one.steps.length);
  replace(PICK, kept.map(([one, k]) => el("option", { value: k }, one.cell + (one.steps.length ? " (" + one.steps.length + ")" : ""))));
  if (kept.some(([, k]) => String(k) === before)) PICK.value = before;
  show();
}

function rowsOf(series) {
  const steps = new Map(series.steps.map((step) => [step.i, step]));
  const rows = [];
  series.points.forEach(([run, value], i) => {
    const about = DATA.runs[run];
    if (value !== null) {
      const step = steps.get(i);
      rows.push({
        kind: step ? "step" : "run", place: i, run: about.name, started: about.started, commit: about.commit,
        value, why: step ? step.why : "",
      });
    }
    if (i && about.tools) rows.push({ kind: "tool", place: i, tools: about.tools });
  });
  return rows;
}

function show() {
  const series = DATA.series[Number(PICK.value)];
  const chart = document.getElementById("chart-trend");
  if (PICK.value === "" || !series) {
    draw(chart, "trend", [], "No cell has a step.");
    replace(document.getElementById("steps"));
    return;
  }
  location.replace("#cell=" + encodeURIComponent(series.cell));
  draw(chart, "trend", rowsOf(series), "No run has the figure.");
  const head = ["Since", "Run", "Commit", "Before", "After", "Change", "What changed"];
  const body = series.steps.map((step) => {
    const run = DATA.runs[series.points[step.i][0]];
    const share = step.before ? (step.after - step.before) / Math.abs(step.before) : null;
    return el("tr", {}, el("td", { class: "w" }, run.started), el("td", { class: "w" }, run.name), el("td", { class: "w" }, run.commit),
      el("td", { class: "n" }, figure(step.before)), el("td", { class: "n" }, figure(step.after)),
      el("td", { class: "n" }, percent(share)), el("td", { class: "p" }, step.why));
  });
  replace(document.getElementById("steps"), series.steps.length
    ? el("table", { "aria-label": "Steps" }, el("thead", {}, el("tr", {}, head.map((h, k) => el("th", { scope: "col", class: k > 2 && k < 6 ? "n" : null }, h)))), el("tbody", {}, body))
    : el("p", { class: "empty" }, "There is no step in these runs."));
}

function chosen() {
  const match = /^#cell=(.+)$/.exec(location.hash);
  if (!match) return;
  const k = DATA.series.findIndex((one) => one.cell === decodeURIComponent(match[1]));
  if (k >= 0) PICK.value = String(k);
}

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  redrawAll();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
PICK.addEventListener("change", show);
ONLY_STEPS.addEventListener("change", options);
window.addEventListener("hashchange", () => {
  const before = PICK.value;
  chosen();
  if (PICK.value !== before) show();
});
replace(PICK, DATA.series.map((one, k) => el("option", { value: k }, one.cell)));
chosen();
options();

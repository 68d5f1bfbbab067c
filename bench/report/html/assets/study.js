// One study at a time: a workload on a target, its table of variants and its charts.
function option(value, text) {
  return el("option", { value }, text.length > 80 ? text.slice(0, 80) + "…" : text);
}

/** Our rows of a study; what is published of each hangs on it. */
function ourRows(study) {
  const found = [];
  for (const row of study.rows) {
    if (row.kind === "ours") found.push({ ...row, published: [] });
    else if (row.kind === "published") found[found.length - 1].published.push(row);
  }
  return found;
}

function capital(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function placeText(row, all) {
  const words = [row.place[0]];
  [1, 2, 3].forEach((k) => {
    if (new Set(all.map((one) => one.place[k])).size > 1) words.push((k === 3 ? "Vela " : "") + row.place[k]);
  });
  return words.join(", ");
}

class Studies {
  constructor(root) {
    this.root = root;
    this.pick = root.querySelector("#study");
    this.place = root.querySelector("#place");
    this.layersOf = root.querySelector("#layers-of");
    replace(this.pick, DATA.studies.map((s, k) => option(k, s.workload + " on " + s.target)));
    this.pick.addEventListener("change", () => this.choose());
    this.place.addEventListener("change", () => this.drawPlace());
    this.layersOf.addEventListener("change", () => this.drawLayers());
    if (DATA.studies.length) this.choose();
  }

  choose() {
    this.study = DATA.studies[Number(this.pick.value)];
    this.rows = ourRows(this.study);
    const places = [...new Set(this.rows.map((row) => placeText(row, this.rows)))];
    replace(this.place, places.map((p) => option(p, p)));
    this.drawTable();
    this.drawPlace();
  }

  drawTable() {
    const study = this.study;
    const figures = [["accuracy", "Accuracy", "accuracy"], ["original", "Orig. KiB", "device_model_kib"],
      ["encoded", "Enc. KiB", "device_model_kib"], ["model", "Model KiB", "device_model_kib"], ["axi1", "AXI1 beats", "macs"]];
    const head = el("tr", {}, el("th", { scope: "col" }, "Variant"), el("th", { scope: "col" }, "Memory"),
      el("th", { scope: "col" }, "Verdict"),
      figures.map(([, title]) => el("th", { scope: "col", class: "n" }, title)),
      study.macs.map((m) => el("th", { scope: "col", class: "n" }, "@" + m)),
      el("th", { scope: "col", class: "n" }, "Efficiency"), el("th", { scope: "col" }, "Bound by"));
    const body = study.rows.slice(0, 400).map((row) => {
      const ours = row.kind === "ours";
      const cycles = row.cycles.map((c, k) => el("td", { class: "n" }, c === null ? "–"
        : ours ? [cellLink(row.cells[k], shown("npu_cycles", c)), row.ranges[k] ? el("span", { class: "range" }, row.ranges[k]) : null]
        : shown("npu_cycles", c)));
      const names = ours
        ? [el("td", { class: "w" }, row.name), el("td", { class: "w" }, placeText(row, this.rows)), el("td", {}, badge(row.status))]
        : [el("td", { colspan: 3, title: row.source || null }, row.name)];
      return el("tr", { class: ours ? null : "aside" }, names,
        figures.map(([key, , like]) => el("td", { class: "n" },
          row[key] === null || row[key] === undefined ? (ours ? "–" : "") : shown(like, row[key]))),
        cycles, el("td", { class: "n" }, ours && row.efficiency !== null ? row.efficiency.toFixed(2) : ""),
        el("td", { class: "w" }, ours ? row.bound || "–" : ""));
    });
    const label = "Variants of " + study.workload + " on " + study.target;
    replace(this.root.querySelector("#variants"), el("table", { "aria-label": label }, el("thead", {}, head), el("tbody", {}, body)));
    const efficiency = "@32: NPU cycles on 32 MACs. Efficiency: the speed-up over the MAC sweep as a share of the ideal one.";
    replace(this.root.querySelector("#study-note"), capital(study.source) + ". Data: " + study.data + ". " + efficiency
      + (study.rows.some((row) => (row.ranges || []).some(Boolean)) ? " Below cycles: what they could be off by, as far as is known." : "")
      + (study.unsupported ? " " + study.unsupported : ""));
  }

  drawPlace() {
    const chosen = this.rows.filter((row) => placeText(row, this.rows) === this.place.value);
    const macs = this.study.macs;
    const at = macs.includes(128) ? macs.indexOf(128) : macs.length - 1;
    draw(this.root.querySelector("#chart-cycles"), "cycles", cycleRows(this.study, chosen), "No cell has a cycle count.");
    const points = paretoRows(chosen, at);
    const first = chosen.map((row) => row.cells[at]).find((i) => i !== null && i !== undefined);
    const merit = (first !== undefined && word("merit", first)) || "accuracy";
    draw(this.root.querySelector("#chart-pareto"), "pareto", points,
      "No accuracy is known: without labels there is none.", { merit });
    replace(this.root.querySelector("#pareto-macs"), String(macs[at]));
    draw(this.root.querySelector("#chart-roofline"), "roofline", rooflineRows(this.study, this.rows),
      "The target counts no traffic on AXI1, or the model has no constants.");
    const cells = chosen.flatMap((row) => row.cells.filter((i) => i !== null));
    replace(this.layersOf, cells.map((i) => option(i, word("variant", i) + ", " + word("macs", i) + " MACs")));
    const middle = cells.find((i) => Number(word("macs", i)) === macs[at]);
    if (middle !== undefined) this.layersOf.value = String(middle);
    this.drawLayers();
  }

  async drawLayers() {
    const where = this.root.querySelector("#chart-layers");
    if (this.layersOf.value === "") {
      draw(where, "layers", [], "There is no cell to show.");
      return;
    }
    const { rows, left } = await layerRows(Number(this.layersOf.value));
    const note = left ? left + " layers with fewer cycles are not shown; the cell's page has all." : "";
    replace(this.root.querySelector("#layers-note"), note);
    draw(where, "layers", rows, "The target does not tell where the cycles go.");
  }
}

// The table of all cells: filtered and sorted in memory, and drawn a page at a time.
const PAGE = 50;
const FILTERS = [
  ["workload", "Workload"], ["variant", "Variant"], ["macs", "MACs"], ["memory", "Memory mode"],
  ["target", "Target"], ["vela", "Vela"], ["status", "Verdict"], ["change", "Change"],
];
const COLUMNS = [
  { key: "status", title: "Verdict", draw: (i) => badge(word("status", i)), by: (i) => RANK[i], cls: "w" },
  { key: "workload", title: "Workload", draw: (i) => cellLink(i, word("workload", i)), cls: "w" },
  { key: "variant", title: "Variant", cls: "w" },
  { key: "macs", title: "MACs", by: (i) => Number(word("macs", i)) || 0, cls: "n" },
  { key: "memory", title: "Memory", cls: "w" },
  { key: "target", title: "Target", cls: "w" },
  { key: "vela", title: "Vela", cls: "w" },
  { key: "accuracy", title: "Accuracy", figure: true },
  { key: "device_model_kib", title: "Model KiB", figure: true },
  { key: "npu_cycles", title: "Cycles", figure: true },
  { key: "relative", title: "Change", by: (i) => CELLS.relative[i], draw: (i) => percent(CELLS.relative[i]), cls: "n" },
  { key: "memory_wait_share", title: "Waits", figure: true },
  { key: "bound", title: "Bound by", cls: "w" },
  { key: "history", title: "History", draw: (i) => spark(i) || "", by: (i) => steps(i) },
];
/** How pressing each cell is; 0 is the worst. */
const RANK = new Array(COUNT);
CELLS.order.forEach((cell, rank) => { RANK[cell] = rank; });
const HAYSTACK = CELLS.id.map((id, i) => (id + " " + CELLS.headline[i]).toLowerCase());

function steps(i) {
  const found = (DATA.history.series || {})[i];
  return found ? found.s.length : -1;
}

function sortKey(column) {
  if (column.by) return column.by;
  if (column.figure) return (i) => CELLS.figures[column.key][i];
  return (i) => word(column.key, i);
}

class Explorer {
  constructor(root) {
    this.root = root;
    this.sort = { key: "status", down: false };
    this.page = 0;
    this.selects = {};
    this.columns = COLUMNS.filter((c) => this.worth(c));
    this.buildFilters();
    this.body = el("tbody");
    this.head = el("tr");
    const label = "All cells of the run";
    const table = el("table", { "aria-label": label }, el("thead", {}, this.head), this.body);
    const scroll = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table);
    this.back = el("button", { class: "plainly", type: "button", onclick: () => this.turn(-1) }, "Previous");
    this.next = el("button", { class: "plainly", type: "button", onclick: () => this.turn(1) }, "Next");
    this.count = el("span", { id: "count", role: "status" });
    this.root.append(scroll, el("div", { class: "pager" }, this.back, this.next, this.count));
    this.update();
  }

  /** Whether a column tells cells apart or says something at all. */
  worth(column) {
    if (column.figure) return CELLS.figures[column.key].some((v) => v !== null);
    if (column.key === "relative") return CELLS.relative.some((v) => v);
    if (["target", "vela", "memory"].includes(column.key)) return CODED[column.key].values.length > 1;
    if (column.key === "history") return Object.keys(DATA.history.series || {}).length > 0;
    return true;
  }

  buildFilters() {
    const bar = el("div", { class: "filters" });
    this.search = el("input", { type: "search", id: "search", placeholder: "any part of an id" });
    bar.append(el("label", {}, "Search", this.search));
    this.search.addEventListener("input", () => this.reset());
    for (const [key, title] of FILTERS) {
      const values = [...CODED[key].values].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      if (values.length < 2) continue;
      const select = el("select", { id: "filter-" + key }, el("option", { value: "" }, "all"),
        values.map((v) => el("option", { value: v }, v.length > 60 ? v.slice(0, 60) + "…" : v)));
      select.addEventListener("change", () => this.reset());
      this.selects[key] = select;
      bar.append(el("label", {}, title, select));
    }
    bar.append(el("button", { class: "plainly", type: "button", id: "clear", onclick: () => this.clear() }, "Show all"));
    this.root.append(bar);
  }

  clear() {
    this.search.value = "";
    for (const select of Object.values(this.selects)) select.value = "";
    this.reset();
  }

  reset() {
    this.page = 0;
    this.update();
  }

  turn(by) {
    this.page += by;
    this.drawRows();
  }

  sortBy(key) {
    const down = this.sort.key === key ? !this.sort.down : false;
    this.sort = { key, down };
    this.reset();
    this.head.querySelector('button[data-key="' + key + '"]').focus();
  }

  update() {
    const wanted = Object.entries(this.selects).filter(([, select]) => select.value !== "")
      .map(([key, select]) => [CODED[key].codes, CODED[key].values.indexOf(select.value)]);
    const text = this.search.value.trim().toLowerCase();
    this.found = [];
    for (let i = 0; i < COUNT; i += 1) {
      if (wanted.every(([codes, code]) => codes[i] === code) && (!text || HAYSTACK[i].includes(text))) {
        this.found.push(i);
      }
    }
    const column = COLUMNS.find((c) => c.key === this.sort.key);
    const key = sortKey(column);
    const sign = this.sort.down ? -1 : 1;
    const keys = new Map(this.found.map((i) => [i, key(i)]));
    this.found.sort((a, b) => {
      const x = keys.get(a);
      const y = keys.get(b);
      // What has no figure comes last, whichever way one sorts.
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return sign * (typeof x === "string" ? (x < y ? -1 : x > y ? 1 : 0) : x - y) || a - b;
    });
    this.drawHead();
    this.drawRows();
  }

  drawHead() {
    replace(this.head, this.columns.map((c) => {
      const on = this.sort.key === c.key;
      const mark = on ? (this.sort.down ? "▼" : "▲") : "";
      const button = el("button", { type: "button", "data-key": c.key, onclick: () => this.sortBy(c.key) },
        c.title, el("span", { "aria-hidden": "true" }, mark));
      const sorted = on ? (this.sort.down ? "descending" : "ascending") : "none";
      return el("th", { scope: "col", class: c.figure || c.cls === "n" ? "n" : null, "aria-sort": sorted }, button);
    }));
  }

  drawRows() {
    const pages = Math.max(1, Math.ceil(this.found.length / PAGE));
    this.page = Math.min(Math.max(0, this.page), pages - 1);
    const rows = this.found.slice(this.page * PAGE, (this.page + 1) * PAGE).map((i) =>
      el("tr", { "data-cell": CELLS.id[i] }, this.columns.map((c) => this.drawCell(c, i))));
    replace(this.body, rows);
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page === pages - 1;
    this.count.textContent = NUMBER.format(this.found.length) + " of " + NUMBER.format(COUNT)
      + " cells" + (pages > 1 ? ", page " + (this.page + 1) + " of " + pages : "");
  }

  drawCell(c, i) {
    if (c.figure) return el("td", { class: "n" }, shown(c.key, CELLS.figures[c.key][i]));
    return el("td", { class: c.cls }, c.draw ? c.draw(i) : word(c.key, i));
  }
}

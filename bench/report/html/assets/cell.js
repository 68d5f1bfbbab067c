// The page of one cell: everything that is known of it.
function table(label, headings, rows) {
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    el("table", { "aria-label": label },
      el("thead", {}, el("tr", {}, headings.map(([title, cls]) => el("th", { scope: "col", class: cls }, title)))),
      el("tbody", {}, rows)));
}

function block(title, ...children) {
  return el("section", {}, el("h3", {}, title), ...children);
}

function command(text) {
  const button = el("button", { class: "plainly", type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Files may not use the clipboard everywhere.
      const range = document.createRange();
      range.selectNodeContents(button.previousSibling);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected";
    }
  });
  return el("div", { class: "command" }, el("pre", {}, text), button);
}

function figureRows(told) {
  return told.figures.map((f) => {
    const info = DATA.metrics[f.metric];
    const value = f.value === null ? el("span", { class: "small" }, f.absent || "absent") : shown(f.metric, f.value);
    const relative = f.value !== null && f.before ? percent((f.value - f.before) / Math.abs(f.before)) : "";
    return el("tr", { "data-metric": f.metric }, el("th", { scope: "row" }, info.title + (info.unit && !info.title.includes(info.unit) ? ", " + info.unit : "")),
      el("td", { class: f.value === null ? "p" : "n" }, value), el("td", { class: "n" }, f.before === null ? "" : shown(f.metric, f.before)),
      el("td", { class: "n" }, relative), el("td", { class: f.limit ? "l" : null }, f.limit), el("td", {}, f.status ? badge(f.status) : ""),
      el("td", { class: "p small" }, [f.remark, f.reason].filter(Boolean).join(" — ")));
  });
}

function recordBlocks(told, i) {
  const blocks = [];
  if (told.verdicts.length) {
    blocks.push(block("What fails", table("What fails", [["Verdict"], ["Finding"], ["Why"]], told.verdicts.map(
      ([status, , finding, reason, key]) => el("tr", {}, el("td", {}, badge(status)), el("td", { class: "p" }, finding),
        el("td", { class: "p small" }, reason, key && key !== reason ? " (" + key + ")" : ""))))));
  }
  if (told.explanation) blocks.push(block("What limits it", el("p", {}, told.explanation)));
  blocks.push(block("Figures", table("Figures of the cell",
    [["Figure"], ["Measured", "n"], ["Accepted", "n"], ["Change", "n"], ["Limit"], ["Verdict"], ["Remarks"]], figureRows(told))));
  const run = Object.entries(told.commands);
  blocks.push(block("Run it again", el("p", { class: "lead" }, "At the project's root. The first command judges what failed, if anything did."),
    run.slice(0, 1).map(([, text]) => command(text)),
    run.length > 1 ? el("details", {}, el("summary", {}, "The other suites"), run.slice(1).map(([, text]) => command(text))) : null));
  const chart = el("div", { class: "chart wide", tabindex: 0, role: "region", "aria-label": "Cycles of the layers" });
  blocks.push(block("Where the cycles go", chart, el("details", {}, el("summary", {}, "The same as a table"), layerTable(told))));
  layerRows(i).then(({ rows }) => draw(chart, "layers", rows, "The target does not tell where the cycles go."));
  return blocks;
}

function layerTable(told) {
  const rows = told.layers.flatMap(([layer, causes]) => Object.entries(causes).map(([cause, cycles]) =>
    el("tr", {}, el("td", {}, layer), el("td", {}, cause), el("td", { class: "n" }, NUMBER.format(cycles)))));
  return table("Layers of the cell", [["Layer"], ["Bound by"], ["Cycles", "n"]], rows);
}

function historyBlock(i) {
  const found = (DATA.history.series || {})[i];
  if (!found) return null;
  const line = spark(i);
  const rows = found.s.map((step) => {
    const run = DATA.history.runs[found.r[step.i]] || {};
    return el("tr", {}, el("td", { class: "w" }, run.started || ""), el("td", { class: "w" }, run.commit || ""),
      el("td", { class: "n" }, shown("npu_cycles", step.before)), el("td", { class: "n" }, shown("npu_cycles", step.after)),
      el("td", { class: "n" }, percent(step.before ? (step.after - step.before) / Math.abs(step.before) : null)),
      el("td", { class: "p small" }, step.why));
  });
  return block("NPU cycles over the runs", line, rows.length
    ? table("Steps in the history", [["Since"], ["Commit"], ["Before", "n"], ["After", "n"], ["Change", "n"], ["What changed"]], rows)
    : el("p", { class: "small" }, "No step in the last " + found.v.length + " runs."));
}

function madeBlock(told) {
  const list = el("div", {}, told.made.map(([stage, facts]) => el("details", { open: true }, el("summary", {}, stage),
    el("dl", {}, facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, el("code", {}, value))])))));
  for (const [event, count, kind] of told.counters) list.append(el("p", { class: "small" }, event + ": " + NUMBER.format(count) + " (" + kind + ")"));
  for (const [event, why] of told.uncounted) list.append(el("p", { class: "small" }, event + ": not counted: " + why));
  for (const change of told.changes) list.append(el("p", { class: "small" }, "Changed in the model: " + change));
  return block("Where the figures come from", list);
}

async function cellPage(i) {
  const told = await details(i);
  const parts = [el("p", {}, el("a", { href: "#cells" }, "← all cells")),
    el("h2", { tabindex: -1, id: "cell-title" }, CELLS.id[i]),
    el("p", {}, badge(word("status", i)), " ", told.headline)];
  if (told.error !== undefined) {
    parts.push(block("Why it was not measured", el("p", {}, el("b", {}, told.error), ": " + told.reason),
      told.cure ? el("p", {}, "→ " + told.cure) : null));
  }
  if (told.figures) parts.push(...recordBlocks(told, i));
  parts.push(historyBlock(i));
  if (told.made) parts.push(madeBlock(told));
  const logs = Object.entries(told.logs || {});
  if (logs.length) parts.push(block("Logs", logs.map(([name, end]) => el("details", {}, el("summary", {}, name), el("pre", {}, end)))));
  return parts.filter(Boolean);
}

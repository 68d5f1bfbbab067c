// Which view is shown: the run, or, by the address (#cell=ID), one cell.
const RUN = document.getElementById("run");
const CELL = document.getElementById("cell");

async function route() {
  const match = /^#cell=(.+)$/.exec(location.hash);
  let id = "";
  try {
    id = match ? decodeURIComponent(match[1]) : "";
  } catch {
    id = match[1];
  }
  RUN.hidden = Boolean(match);
  CELL.hidden = !match;
  if (!match) {
    replace(CELL);
    const anchor = location.hash ? document.getElementById(location.hash.slice(1)) : null;
    if (anchor) anchor.scrollIntoView();
    return;
  }
  const i = INDEX.get(id);
  if (i === undefined) {
    replace(CELL, el("p", {}, el("a", { href: "#cells" }, "← all cells")),
      el("h2", { tabindex: -1, id: "cell-title" }, "The run has no cell " + id));
  } else {
    replace(CELL, await cellPage(i));
  }
  scrollTo(0, 0);
  document.getElementById("cell-title").focus({ preventScroll: true });
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  redrawAll();
}

document.getElementById("theme").addEventListener("click", theme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
const EXPLORER = new Explorer(document.getElementById("explorer"));
if (DATA.studies.length) new Studies(document.getElementById("study-section"));
window.addEventListener("hashchange", route);
route();

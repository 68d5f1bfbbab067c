// The data of the page, and how elements are made of it. Text from records only ever becomes text:
// nothing here writes HTML.
const DATA = JSON.parse(document.getElementById("run-data").textContent);
const NUMBER = new Intl.NumberFormat("en");

/** An element with attributes and children; a child is an element or text. */
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "onclick") made.addEventListener("click", value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined));
  return made;
}

function percent(share) {
  if (share === null || share === undefined || share === 0) return "";
  const digits = Math.abs(share) < 0.001 ? 3 : 1;
  return (share > 0 ? "+" : "−") + (100 * Math.abs(share)).toFixed(digits) + " %";
}

function replace(where, ...children) {
  where.replaceChildren(...children.flat().filter((one) => one !== null && one !== undefined));
}

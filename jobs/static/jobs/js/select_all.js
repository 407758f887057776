// The box in the head of a table chooses every row of the page.

const all = document.getElementById("choose-all");
const boxes = () => [...document.querySelectorAll("input.action-select")];

if (all) {
  all.hidden = false;
  all.addEventListener("change", () => boxes().forEach((box) => { box.checked = all.checked; }));
}

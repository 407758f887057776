// Runs before the page is drawn, so that no wrong theme flashes up. The admin keeps its choice under the same name.
document.documentElement.classList.add("js");
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") || "auto";
} catch {
  document.documentElement.dataset.theme = "auto";
}

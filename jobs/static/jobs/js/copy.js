// Buttons that copy what stands elsewhere: `data-copy` has the id of what is copied.

import { $$, announce, setText } from "./shell.js";

const SHOWN = 2000; // milliseconds for which the button says that it is done

/** Pairs of name and value line by line, any other text as it is. */
function text(element) {
  if (element.localName !== "dl") return element.textContent;
  return $$("dt", element)
    .map((name) => `${name.lastChild.textContent}: ${name.nextElementSibling.textContent}`)
    .join("\n");
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

async function copy(button) {
  const element = document.getElementById(button.dataset.copy);
  const words = [...button.childNodes].find((node) => node.nodeType === Node.TEXT_NODE);
  try {
    await navigator.clipboard.writeText(text(element));
    setText(words, "Copied");
  } catch {
    // Without HTTPS a page has no clipboard.
    select(element);
    setText(words, "Selected: press Ctrl+C");
  }
  announce(words.textContent);
  setTimeout(() => setText(words, "Copy"), SHOWN);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

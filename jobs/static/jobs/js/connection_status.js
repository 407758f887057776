// How the line to the server stands: the pill in the header, the banner above the page.

import { clock } from "./format.js";
import { $, announce, setText } from "./shell.js";

const WORDS = { live: "Live", connecting: "Connecting…", reconnecting: "Reconnecting…", offline: "Not live", gone: "Not live" };

const said = {
  reconnecting: (wait, at) => `Connection lost. Jobs keep running on the server. Trying again${wait ? ` in ${wait} s` : ""} – numbers are from ${at}.`,
  offline: (wait, at, why) => `Live updates are off. This page now asks for news every 10 seconds.${why}`,
  gone: () => "There is nothing to watch here any more: the job was removed, or you have been signed out. Reload the page to see.",
};

/** What staff are told of it: `origin` is the address that the server takes for its own. */
function reason({ origin }) {
  if (!origin) return "";
  if (origin === location.origin) return " If that stays so, a proxy in front lets no websockets through.";
  return ` A proxy in front changes the address: the browser says ${location.origin}, the server ${origin}. Set PUBLIC_URL.`;
}

/** Shows the status of `live`; `page` carries data-stale while numbers may be old. Returns what to call on news. */
export function pill(page, again) {
  const mark = $("#live");
  const banner = $("#lost");
  let heard = new Date();
  mark.hidden = false;
  $("button", banner).addEventListener("click", again);

  function status(name, { next } = {}) {
    if (name !== mark.dataset.live && name in said) announce(said[name](0, clock(heard), reason(banner.dataset)));
    mark.dataset.live = name;
    setText(mark, WORDS[name]);
    page.toggleAttribute("data-stale", name in said);
    banner.hidden = !(name in said);
    const wait = next ? Math.max(0, Math.round((next - Date.now()) / 1000)) : 0;
    if (name in said) setText($("p", banner), said[name](wait, clock(heard), reason(banner.dataset)));
  }

  const news = () => (heard = new Date());
  return { status, news, heard: () => heard };
}

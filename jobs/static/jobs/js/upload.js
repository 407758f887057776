// Sends a file behind the form. Either it is stored as a whole, or nothing of it is.

const CUT = "The connection was lost while the file was sent. Nothing was stored.";
const UNANSWERED = "The connection was lost before the server answered. Send it again; what had arrived is removed by itself.";
const BY_STATUS = {
  401: "You are signed out. Sign in in another tab, then send it again.",
  403: "The page is too old. Reload it and choose the file again.",
  408: "Sending took longer than this server waits. Nothing was stored.",
  413: "The file is larger than this server accepts.",
  507: "The server has no room left for this file. Nothing was stored.",
};

function answerOf(request) {
  try {
    return JSON.parse(request.responseText);
  } catch {
    return {};
  }
}

const sentence = (status, said) =>
  said.error || (status !== 401 && said.detail) || BY_STATUS[status] || "The file could not be stored. Send it again.";

/** Removes a file that was stored and is not wanted; should that fail, the server does it within the hour. */
export function discard(url, upload, token) {
  return fetch(`${url}${upload}/`, { method: "DELETE", headers: { "X-CSRFToken": token }, keepalive: true }).catch(() => {});
}

/**
 * Begins to send `file`. `progress(sent, total)` is called on the way, then one of `done(answer)` and `failed(sentence)`;
 * after stop() neither, and nothing is left of the file: one that had arrived by then is removed.
 */
export function send({ url, token, file, progress, done, failed }) {
  const request = new XMLHttpRequest();
  const data = new FormData();
  data.set("file", file, file.name);
  let arrived = false;
  let stopped = false;
  request.open("POST", url);
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("X-CSRFToken", token);
  request.upload.onprogress = ({ loaded, total }) => !stopped && progress(loaded, total);
  request.upload.onload = () => (arrived = true);
  request.onload = () => {
    const said = answerOf(request);
    if (stopped) return said.upload && discard(url, said.upload, token);
    return request.status === 201 ? done(said) : failed(sentence(request.status, said));
  };
  request.onerror = () => !stopped && failed(arrived ? UNANSWERED : CUT);
  request.send(data);
  return {
    stop() {
      stopped = true;
      if (!arrived) request.abort();
    },
  };
}

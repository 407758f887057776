// Which rows of a page are concerned by news, and which are the newest. Pure, so that it can be tested without a page.

/** Whether one of these changes can be seen on the page of items that is open. */
export function concerns(changes, { first, last, open, filtered }) {
  // Under a filter any row may come in or leave, and an open end takes new rows.
  if (filtered) return changes.some(([at]) => open || at <= last);
  return changes.some(([at]) => at >= first && (open || at <= last));
}

export const sameRow = (one, other) => one.row === other.row && one.attempts === other.attempts && one.state === other.state;

/** The newest `limit` attempts: the fresh ones, then those known before. */
export function merged(known, fresh, limit) {
  return [...fresh, ...known.filter((row) => !fresh.some((other) => sameRow(row, other)))].slice(0, limit);
}

/** The positions that a frame says run now; it has the distance of each from the one before. */
export function running(gaps) {
  let at = 0;
  return new Set(gaps.map((gap) => (at += gap)));
}

/** Whether other items run by now than rows of [position, state] show; `all` where the page shows what runs. */
export function outrun(rows, now, all) {
  if (rows.some(([at, state]) => (state === "running") !== now.has(at))) return true;
  return all && rows.length < now.size && rows.every(([at]) => now.has(at));
}

// Row numbers as people and addresses write them. Pure, so that it can be tested without a page.

/** 3, 17, 20, 21, 22 → "3,17,20-22", whatever their order. */
export function spans(rows) {
  const parts = [];
  for (const row of [...rows].sort((one, other) => one - other)) {
    const last = parts.at(-1);
    if (last && last[1] === row - 1) last[1] = row;
    else if (!last || last[1] !== row) parts.push([row, row]);
  }
  return parts.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}

/** What lies between two entries of a list, both included, whichever comes first; the second alone without the first. */
export function between(list, one, other) {
  const [from, to] = [list.indexOf(one), list.indexOf(other)];
  if (from < 0) return [other];
  return list.slice(Math.min(from, to), Math.max(from, to) + 1);
}

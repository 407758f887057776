// What the charts draw, from the points of a job: [seconds of the epoch, finished/s, failed/s, p50, p95].

const MOST = 300; // points; with more the server has thinned them, and the page fetches them anew
const FULL = 8; // points in a frame; so many may have others before them
const PAUSE = [4, 10]; // times the usual distance, and seconds: a longer one is a pause
const CALM = 5; // items that a mean is taken over where they are so few that each second would be a spike
const LONGEST = 30; // points in such a mean

/** The points with those of a frame. `missed` says that some in between are not known. */
export function joined(points, news) {
  if (!news.length) return { points: [], missed: false };
  if (!points.length) return { points: news, missed: news.length >= FULL };
  const last = points.at(-1)[0];
  if (news.at(-1)[0] < last) return { points, missed: false };
  const at = news.findIndex(([time]) => time === last);
  if (at < 0 || points.length + news.length - at - 1 > MOST) return { points, missed: true };
  return { points: [...points.slice(0, -1), ...news.slice(at)], missed: false };
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / (values.length || 1);

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 1;
}

/** [[points of one stretch of work, seconds that it is moved to the right], …]: pauses take next to no room. */
function stretches(points, usual) {
  const found = [{ points: [points.at(-1)], shift: 0 }];
  const pause = Math.max(PAUSE[0] * usual, PAUSE[1]);
  for (let i = points.length - 2; i >= 0; i -= 1) {
    const distance = points[i + 1][0] - points[i][0];
    if (distance > pause) found.unshift({ points: [], shift: found[0].shift + distance - 2 * usual });
    found[0].points.unshift(points[i]);
  }
  return found;
}

/** Each value as the mean (or what `of` makes) of itself and those before it, `size` in all. */
function calmed(values, size, of = mean) {
  return size === 1 ? values : values.map((_, i) => of(values.slice(Math.max(0, i + 1 - size), i + 1)));
}

const middle = (values) => (values.includes(null) ? values.at(-1) : median(values));
const largest = (values) => (values.at(-1) === null ? null : Math.max(...values));

/** Where nothing was tried, the time that was known before goes on. */
function held(values) {
  let last = null;
  return values.map((value) => (last = value ?? last));
}

/** Over how many points the rate is a mean. */
function calm(points) {
  const rate = mean(points.map(([, done]) => done));
  return Math.max(1, Math.min(LONGEST, Math.ceil(CALM / (rate || CALM)), Math.floor(points.length / 3)));
}

/**
 * Columns for the charts: `data` is [x, finished, failed, p50, p95] with nulls where the curves break, `real(x)` the time
 * at an x, `over` how many seconds each rate is a mean of.
 */
export function columns(points) {
  const usual = median(points.slice(1).map(([time], i) => time - points[i][0]));
  const size = calm(points);
  const parts = stretches(points, usual);
  const data = [[], [], [], [], []];
  for (const { points: part, shift } of parts) {
    if (data[0].length) data.forEach((column, i) => column.push(i ? null : part[0][0] + shift - usual));
    // A line needs two ends.
    const drawn = part.length > 1 ? part : [[part[0][0] - usual, ...part[0].slice(1)], part[0]];
    const [times, done, failed, p50, p95] = [0, 1, 2, 3, 4].map((i) => drawn.map((point) => point[i]));
    const values = [
      times.map((time) => time + shift),
      calmed(done, size),
      failed,
      calmed(held(p50), size, middle),
      calmed(held(p95), size, largest),
    ];
    values.forEach((column, i) => data[i].push(...column));
  }
  const real = (x) => x - (parts.findLast(({ points: [first], shift }) => first[0] + shift - usual <= x) ?? parts[0]).shift;
  return { data, real, over: size === 1 ? 1 : Math.round(size * usual) };
}

const UNITS = [[2, 1000, "milliseconds"], [120, 1, "seconds"], [7200, 1 / 60, "minutes"], [Infinity, 1 / 3600, "hours"]];

/** In what times up to `longest` seconds are written on an axis: {per: so many in a second, name}. */
export function unit(longest) {
  const [, per, name] = UNITS.find(([below]) => longest < below);
  return { per, name };
}

/** The end of an axis from 0 on which `most` has its place: a round number, and so is its half. */
export function top(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return Number(([1, 2, 3, 4, 5, 6, 8, 10].find((times) => times * power >= most * 0.999) * power).toPrecision(2));
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 172_800, 604_800];

/** The seconds from one time of an axis to the next, where they must be `least` at least. */
export const stepped = (least) => STEPS.find((step) => step >= least) ?? Math.ceil(least / STEPS.at(-1)) * STEPS.at(-1);

/** The parts of a curve, as [[x, y], …], between its breaks. */
export function parted(xs, values) {
  const parts = [[]];
  values.forEach((y, i) => {
    if (y !== null) parts.at(-1).push([xs[i], y]);
    else if (parts.at(-1).length) parts.push([]);
  });
  return parts.filter((part) => part.length);
}

/** The room that each bar at one of `xs` can have without touching the next. */
export const room = (xs) => Math.min(...xs.slice(1).map((x, i) => x - xs[i]));

/** The number of the point nearest to `x` at which there is something. */
export function nearest(xs, values, x) {
  let best = null;
  xs.forEach((at, i) => {
    if (values[i] !== null && (best === null || Math.abs(at - x) < Math.abs(xs[best] - x))) best = i;
  });
  return best;
}

// Painting costs time that the person wants for scrolling: whoever paints often does it through this.

/**
 * Calls `paint` soon after it was asked for: at most once in `ms` milliseconds, on a frame of the screen, and never in a
 * tab that nobody looks at. What was asked for there is painted on return. `world` stands for the browser in tests.
 */
export function paced(ms, paint, world = browser()) {
  let wanted = false;
  let scheduled = false;
  let last = -Infinity;

  function draw() {
    scheduled = false;
    if (!world.visible()) return;
    wanted = false;
    last = world.now();
    paint();
  }

  function ask() {
    wanted = true;
    if (scheduled || !world.visible()) return;
    scheduled = true;
    world.later(() => world.frame(draw), Math.max(0, last + ms - world.now()));
  }

  world.onVisible(() => wanted && ask());
  return ask;
}

function browser() {
  return {
    now: () => performance.now(),
    later: (action, ms) => (ms ? setTimeout(action, ms) : action()),
    frame: (action) => requestAnimationFrame(action),
    visible: () => !document.hidden,
    onVisible: (action) => document.addEventListener("visibilitychange", action),
  };
}

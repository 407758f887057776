// Binary frames: which items changed to which state, about one byte for each.

export const STATES = ["waiting", "running", "succeeded", "failed", "rejected", "retrying", "not_attempted"];
const TYPE = 1;
const HEADER = 10; // type, flags, from, seq

/** [[position, state number], …] in ascending order → the bytes of a frame. */
export function encode(from, seq, changes) {
  const bytes = [];
  let last = 0;
  for (const [position, state] of changes) {
    // Positions may be too large for the 32 bits of <<.
    let value = (position - last) * 8 + state;
    last = position;
    for (; value > 0x7f; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
    bytes.push(value);
  }
  const frame = new Uint8Array(HEADER + bytes.length);
  const head = new DataView(frame.buffer);
  head.setUint8(0, TYPE);
  head.setUint32(2, from);
  head.setUint32(6, seq);
  frame.set(bytes, HEADER);
  return frame;
}

/** The bytes of a frame → {from, seq, changes}; null for a frame of another type. */
export function decode(buffer) {
  const bytes = buffer instanceof Uint8Array ? buffer : new Uint8Array(buffer);
  if (bytes.length < HEADER || bytes[0] !== TYPE) return null;
  const head = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { from: head.getUint32(2), seq: head.getUint32(6), changes: pairs(bytes) };
}

function pairs(bytes) {
  const changes = [];
  let position = 0;
  let value = 0;
  let unit = 1;
  for (let at = HEADER; at < bytes.length; at += 1) {
    value += (bytes[at] & 0x7f) * unit;
    unit *= 0x80;
    if (bytes[at] & 0x80) continue;
    position += Math.floor(value / 8);
    changes.push([position, value % 8]);
    value = 0;
    unit = 1;
  }
  return changes;
}

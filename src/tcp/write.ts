import type { Connection } from "./connection.ts";
import { pieceSize } from "./gso.ts";
import { pushOne, pushPending } from "./output.ts";
import { after } from "./sequence.ts";

/** `tcp_sendmsg()`: `length` more bytes are in the buffer; they are cut into pieces, and full ones leave at once. */
export function submit(c: Connection, length: number): void {
  const { unsent } = c;
  const goal = c.options.gso === true ? pieceSize(c) : Number.POSITIVE_INFINITY;
  unsent.mark(false);
  for (let left = length; ; ) {
    let room = unsent.count === 0 ? 0 : goal - ((c.writeSequence - unsent.tailStart(c.sndNxt)) | 0);
    if (room <= 0) {
      unsent.begin(c.writeSequence);
      room = goal;
    }
    const count = Math.min(room, left);
    left -= count;
    c.writeSequence = (c.writeSequence + count) | 0;
    unsent.extend(c.writeSequence);
    if (left === 0) break;
    // `forced_push()`.
    if (after(c.writeSequence, (c.pushSequence + (c.maxWindow >> 1)) | 0)) {
      endWrite(c);
      pushPending(c, true);
    } else if (unsent.count === 1) pushOne(c);
  }
  endWrite(c);
  pushPending(c);
}

function endWrite(c: Connection): void {
  c.unsent.mark(true);
  c.pushSequence = c.writeSequence;
}

/** DNS over TCP (RFC 1035 section 4.2.2): each message stands behind its length, two bytes. */

/** The longest message. */
export const DNS_STREAM = 65_535;

export function frameDns(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(2 + message.length);
  new DataView(framed.buffer).setUint16(0, message.length);
  framed.set(message, 2);
  return framed;
}

/** Finds the messages in what arrives, however it was cut. */
export class DnsFrames {
  private held = new Uint8Array(0);

  /** The messages that `data` makes complete. */
  add(data: Uint8Array): Uint8Array[] {
    const all = new Uint8Array(this.held.length + data.length);
    all.set(this.held);
    all.set(data, this.held.length);
    const messages: Uint8Array[] = [];
    let at = 0;
    while (all.length - at >= 2) {
      const end = at + 2 + ((all[at]! << 8) | all[at + 1]!);
      if (end > all.length) break;
      messages.push(all.subarray(at + 2, end));
      at = end;
    }
    this.held = all.slice(at);
    return messages;
  }
}

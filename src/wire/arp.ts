/** ARP for IPv4 over Ethernet, RFC 826. Offsets are those of the ARP header. */

export const ARP_LENGTH = 28;
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

/** RFC 5494 gave IEEE 802 networks a number of their own; Ethernet devices take both. */
const IEEE_802 = 6;

export const operation = (view: DataView, at: number): number => view.getUint16(at + 6);
export const senderHigh = (view: DataView, at: number): number => view.getUint16(at + 8);
export const senderLow = (view: DataView, at: number): number => view.getInt32(at + 10);
export const senderAddress = (view: DataView, at: number): number => view.getInt32(at + 14);
export const targetHigh = (view: DataView, at: number): number => view.getUint16(at + 18);
export const targetLow = (view: DataView, at: number): number => view.getInt32(at + 20);
export const targetAddress = (view: DataView, at: number): number => view.getInt32(at + 24);

/** Null when this is Ethernet and IPv4 ARP of full length. */
export function check(view: DataView, at: number, end: number): "PKT_TOO_SMALL" | "NOT_SPECIFIED" | null {
  if (end - at < ARP_LENGTH) return "PKT_TOO_SMALL";
  const hardware = view.getUint16(at);
  const plain =
    (hardware === 1 || hardware === IEEE_802) && view.getUint16(at + 2) === 0x0800 && view.getUint16(at + 4) === 0x0604;
  return plain ? null : "NOT_SPECIFIED";
}

export function write(
  view: DataView,
  at: number,
  op: number,
  sender: { high: number; low: number; address: number },
  target: { high: number; low: number; address: number },
): void {
  view.setUint16(at, 1);
  view.setUint16(at + 2, 0x0800);
  view.setUint16(at + 4, 0x0604);
  view.setUint16(at + 6, op);
  view.setUint16(at + 8, sender.high);
  view.setInt32(at + 10, sender.low);
  view.setInt32(at + 14, sender.address);
  view.setUint16(at + 18, target.high);
  view.setInt32(at + 20, target.low);
  view.setInt32(at + 24, target.address);
}

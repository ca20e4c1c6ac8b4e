import type { Packet } from "../../src/packet/packet.ts";

/** What names the buffer, not the journey. */
const BUFFER = new Set(["bytes", "view", "capacity"]);

/** Every field of a packet that one journey can leave behind. */
export function fields(packet: Packet): Record<string, unknown> {
  return Object.fromEntries(Object.entries(packet).filter(([name]) => !BUFFER.has(name)));
}

/** Gives every such field a value that a new packet does not have. */
export function soil(packet: Packet): void {
  const all = packet as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(fields(packet))) {
    if (name === "live" || name === "id" || name === "end") continue;
    if (typeof value === "number") all[name] = 77;
    else if (typeof value === "boolean") all[name] = !value;
    else if (value === null) all[name] = { soiled: name };
    else all[name] = name === "type" ? "broadcast" : "INVALID";
  }
}

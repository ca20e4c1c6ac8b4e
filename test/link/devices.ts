import type { DeviceOptions, Receiver } from "../../src/link/device.ts";
import { Fabric } from "../../src/link/fabric.ts";
import { Veth } from "../../src/link/veth.ts";
import { FRAME, type Packet } from "../../src/packet/packet.ts";
import type { DropReason } from "../../src/trace/reason.ts";
import { reasonNumber } from "../../src/trace/reason.ts";
import { type Mac, parseMac } from "../../src/wire/address.ts";
import * as ethernet from "../../src/wire/ethernet.ts";

export const LEFT_MAC = parseMac("02:00:00:00:00:01");
export const RIGHT_MAC = parseMac("02:00:00:00:00:02");

/** Keeps every packet that it receives. */
export class Inbox implements Receiver {
  readonly packets: Packet[] = [];

  receive(packet: Packet): void {
    this.packets.push(packet);
  }
}

export function frame(to: Mac, length = 60, from: Mac = LEFT_MAC): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  ethernet.setDestination(view, 0, to.high, to.low);
  ethernet.setSource(view, 0, from.high, from.low);
  ethernet.setEtherType(view, 0, 0x88b5);
  for (let i = 14; i < length; i++) bytes[i] = i;
  return bytes;
}

export const frameOf = (packet: Packet): Uint8Array => packet.bytes.slice(FRAME, packet.end);

export const dropped = (fabric: Fabric, reason: DropReason): number => fabric.drops[reasonNumber(reason)]!;

/** What the books say is still under way; must equal what the pool holds. */
export function outstanding(fabric: Fabric): number {
  const { injected, generated, cloned, delivered, consumed, dropped } = fabric.books;
  return injected + generated + cloned - delivered - consumed - dropped;
}

/** A cable between two namespaces, both ends up, an inbox at each. */
export function cable(left: Partial<DeviceOptions> = {}, right: Partial<DeviceOptions> = {}) {
  const fabric = new Fabric();
  const [a, b] = Veth.pair(
    fabric,
    { name: "eth0", namespace: "web", mac: LEFT_MAC, ...left },
    { name: "veth1", namespace: "root", mac: RIGHT_MAC, ...right },
  );
  const atLeft = new Inbox();
  const atRight = new Inbox();
  a.receiver = atLeft;
  b.receiver = atRight;
  a.setUp(true);
  b.setUp(true);
  return { fabric, left: a, right: b, atLeft, atRight };
}

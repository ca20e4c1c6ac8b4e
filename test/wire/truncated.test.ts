import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FRAME, NETWORK } from "../../src/packet/packet.ts";
import { FRAME_MAX, Pool } from "../../src/packet/pool.ts";
import * as arp from "../../src/wire/arp.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as icmp from "../../src/wire/icmp.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as tcp from "../../src/wire/tcp.ts";
import * as udp from "../../src/wire/udp.ts";

type Accessor = (view: DataView, at: number) => unknown;

/** Every function of a module that takes exactly `(view, at)` and only reads. */
function accessors(module: object): Accessor[] {
  return Object.entries(module)
    .filter(
      ([name, value]) =>
        typeof value === "function" && value.length === 2 && !/^(set|write|is(Group|Broadcast))/.test(name),
    )
    .map(([, value]) => value as Accessor);
}

const READERS = [arp, icmp, ipv4, tcp, udp].flatMap(accessors);
const LINK = accessors(ethernet);

/** Reads all there is at every place where a header can stand: behind each length of IPv4 header, and once more inside. */
function readAll(view: DataView, end: number): void {
  for (const read of LINK) read(view, FRAME);
  for (const read of READERS) read(view, NETWORK);
  arp.check(view, NETWORK, end);
  ipv4.check(view, NETWORK, end);
  const transport = NETWORK + ipv4.headerLength(view, NETWORK);
  for (const read of READERS) read(view, transport);
  const quoted = transport + icmp.ICMP_HEADER;
  for (const read of READERS) read(view, quoted);
  ipv4.check(view, quoted, end);
  const inner = quoted + ipv4.headerLength(view, quoted);
  for (const read of READERS) read(view, inner);
}

describe("a truncated frame", () => {
  it("finds accessors to try", () => {
    expect(READERS.length).toBeGreaterThan(30);
    expect(LINK.length).toBe(5);
  });

  it("never makes an accessor throw, wherever it ends", () => {
    const pool = new Pool();
    for (let end = NETWORK; end <= 2032; end++) {
      const packet = pool.take(end - FRAME);
      packet.bytes.fill(0xff);
      expect(packet.end).toBe(end);
      readAll(packet.view, packet.end);
      pool.release(packet);
    }
  });

  it("never makes an accessor throw in the longest frame that there can be", () => {
    const packet = new Pool().take(FRAME_MAX);
    packet.bytes.fill(0xff);
    readAll(packet.view, packet.end);
    for (const read of READERS) read(packet.view, packet.end);
  });

  it("never makes an accessor throw right behind its end", () => {
    const pool = new Pool();
    for (let end = NETWORK; end <= 2032; end++) {
      const packet = pool.take(end - FRAME);
      for (const read of READERS) read(packet.view, packet.end);
      pool.release(packet);
    }
  });

  it("never makes a check throw, whatever it holds", () => {
    const pool = new Pool();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 14, maxLength: 200 }), (bytes) => {
        const packet = pool.take(bytes.length);
        packet.bytes.set(bytes, FRAME);
        readAll(packet.view, packet.end);
        for (let at = NETWORK; at <= packet.end; at++) {
          icmp.isValid(packet.view, at, packet.end - at);
          udp.isValid(packet.view, at, packet.end - at, 1, 2);
          tcp.isValid(packet.view, at, packet.end - at, 1, 2);
        }
        pool.release(packet);
      }),
    );
  });
});

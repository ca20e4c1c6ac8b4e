import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fabric } from "../../src/link/fabric.ts";
import type { Packet } from "../../src/packet/packet.ts";
import { DROP_REASONS } from "../../src/trace/reason.ts";
import { ROW } from "../../src/trace/recorder.ts";
import { STEP, STEP_KINDS } from "../../src/trace/step.ts";
import { BROADCAST_MAC } from "../../src/wire/address.ts";
import { dropped, frame, frameOf, outstanding } from "./devices.ts";

describe("the books", () => {
  it("balance after any series of beginnings and ends", () => {
    const action = fc.tuple(fc.constantFrom("inject", "generate", "clone", "deliver", "consume", "drop"), fc.nat());
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
        const fabric = new Fabric();
        const held: Packet[] = [];
        const take = (pick: number): Packet => held.splice(pick % held.length, 1)[0]!;
        for (const [act, pick] of actions) {
          if (act === "inject") held.push(fabric.inject(frame(BROADCAST_MAC), 0));
          else if (act === "generate") held.push(fabric.generate(60, 0));
          else if (held.length === 0) continue;
          else if (act === "clone") held.push(fabric.clone(held[pick % held.length]!, 0));
          else if (act === "deliver") fabric.deliver(take(pick), 0, "a socket");
          else if (act === "consume") fabric.consume(take(pick), 0, "arp");
          else fabric.drop(take(pick), 0, DROP_REASONS[pick % DROP_REASONS.length]!);
          expect(outstanding(fabric)).toBe(held.length);
          expect(fabric.pool.held).toBe(held.length);
        }
        expect(fabric.drops.reduce((sum, count) => sum + count, 0)).toBe(fabric.books.dropped);
      }),
    );
  });

  it("count each drop under its own reason", () => {
    const fabric = new Fabric();
    fabric.drop(fabric.generate(60, 0), 0, "NETFILTER_DROP");
    fabric.drop(fabric.generate(60, 0), 0, "NETFILTER_DROP");
    fabric.drop(fabric.generate(60, 0), 0, "NO_SOCKET");
    expect(dropped(fabric, "NETFILTER_DROP")).toBe(2);
    expect(dropped(fabric, "NO_SOCKET")).toBe(1);
    expect(dropped(fabric, "IP_CSUM")).toBe(0);
  });

  it("refuse to end a packet twice", () => {
    const fabric = new Fabric();
    const packet = fabric.generate(60, 0);
    fabric.drop(packet, 0, "NO_SOCKET");
    expect(() => fabric.deliver(packet, 0, "a socket")).toThrow("released twice");
  });
});

describe("a packet", () => {
  it("that is injected is a copy of the frame", () => {
    const fabric = new Fabric();
    const bytes = frame(BROADCAST_MAC, 100);
    const packet = fabric.inject(bytes, 0);
    expect(frameOf(packet)).toEqual(bytes);
    bytes.fill(0);
    expect(frameOf(packet)).toEqual(frame(BROADCAST_MAC, 100));
  });

  it("that is generated knows what it answers", () => {
    const fabric = new Fabric();
    expect(fabric.generate(60, 17).parent).toBe(17);
    expect(fabric.generate(60, 0).length).toBe(60);
  });

  it("that is cloned names its origin, in its field and in the trace", () => {
    const fabric = new Fabric();
    const trace = fabric.record();
    const packet = fabric.inject(frame(BROADCAST_MAC), 3);
    const clone = fabric.clone(packet, 5);
    expect(clone.parent).toBe(packet.id);
    const born = [];
    for (let row = 0; row < trace.length; row++)
      if (trace.rows[row * ROW] === STEP.born) born.push([...trace.rows.subarray(row * ROW + 1, row * ROW + 5)]);
    expect(born).toEqual([
      [packet.id, 3, 0, 0],
      [clone.id, 5, 2, packet.id],
    ]);
  });
});

describe("the trace", () => {
  const kinds = (fabric: Fabric): string[] => {
    const trace = fabric.record();
    return Array.from({ length: trace.length }, (_, row) => STEP_KINDS[trace.rows[row * ROW]!]!.name);
  };

  it("tells how each packet ended, with the reason of a drop", () => {
    const fabric = new Fabric();
    const trace = fabric.record();
    fabric.drop(fabric.generate(60, 0), 4, "NO_SOCKET");
    fabric.consume(fabric.generate(60, 0), 5, "arp");
    fabric.deliver(fabric.generate(60, 0), 6, "udp socket");
    expect(kinds(fabric)).toEqual(["dropped", "consumed", "delivered"]);
    expect([...trace.rows.subarray(1, 4)]).toEqual([1, 4, DROP_REASONS.indexOf("NO_SOCKET")]);
    expect(fabric.names.get(trace.rows[ROW + 3]!)).toEqual({ kind: "text", text: "arp" });
    expect(fabric.names.get(trace.rows[2 * ROW + 3]!)).toEqual({ kind: "text", text: "udp socket" });
  });

  it("carries the virtual time of each step", () => {
    const fabric = new Fabric();
    const trace = fabric.record();
    fabric.scheduler.run(1_500_000_000_123);
    fabric.drop(fabric.generate(60, 0), 0, "NO_SOCKET");
    expect(trace.times[0]).toBe(1_500_000_000_123);
  });

  it("is one and the same however often it is turned on, and grows without losing a step", () => {
    const fabric = new Fabric();
    const trace = fabric.record();
    for (let i = 0; i < 10_000; i++) fabric.drop(fabric.generate(60, 0), i, "NO_SOCKET");
    expect(fabric.record()).toBe(trace);
    expect(trace.length).toBe(10_000);
    for (const row of [0, 4095, 4096, 8191, 8192, 9999]) expect(trace.rows[row * ROW + 2]).toBe(row);
  });

  it("changes nothing about what happens", () => {
    const books = [false, true].map((traced) => {
      const fabric = new Fabric();
      if (traced) fabric.record();
      const packet = fabric.inject(frame(BROADCAST_MAC), 0);
      fabric.drop(fabric.clone(packet, 0), 0, "NO_SOCKET");
      fabric.deliver(packet, 0, "x");
      return fabric.books;
    });
    expect(books[0]).toEqual(books[1]);
  });
});

it("draws its chance from seed 1 unless told otherwise", () => {
  const first = (fabric: Fabric): number => fabric.random.next();
  expect(first(new Fabric())).toBe(first(new Fabric(1)));
  expect(first(new Fabric(2))).not.toBe(first(new Fabric(1)));
});

it("numbers devices from 1, as Linux does", () => {
  const fabric = new Fabric();
  expect([fabric.nextDeviceIndex(), fabric.nextDeviceIndex()]).toEqual([1, 2]);
});

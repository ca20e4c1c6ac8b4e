import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Packet } from "../../src/packet/packet.ts";
import { BROADCAST_MAC } from "../../src/wire/address.ts";
import { fields, soil } from "../packet/fields.ts";
import { cable, dropped, frame, LEFT_MAC, outstanding, RIGHT_MAC } from "./devices.ts";

describe("a veth cable", () => {
  it("delivers at the other end, in order, in the same instant, and never recurses", () => {
    const { fabric, left, atRight } = cable();
    fabric.scheduler.disable();
    for (let i = 0; i < 5; i++) left.send(fabric.inject(frame(RIGHT_MAC, 60 + i), left.place));
    expect(atRight.packets).toEqual([]);
    fabric.scheduler.enable();
    expect(atRight.packets.map((packet) => packet.length)).toEqual([60, 61, 62, 63, 64]);
    expect(fabric.scheduler.now).toBe(0);
  });

  it("works both ways", () => {
    const { fabric, right, atLeft, atRight } = cable();
    right.send(fabric.inject(frame(LEFT_MAC), right.place));
    fabric.scheduler.run();
    expect([atLeft.packets.length, atRight.packets.length]).toEqual([1, 0]);
  });

  it("decides at the receiving end whom the frame means", () => {
    const { fabric, left, atRight } = cable();
    for (const mac of [RIGHT_MAC, LEFT_MAC, BROADCAST_MAC]) left.send(fabric.inject(frame(mac), left.place));
    fabric.scheduler.run();
    expect(atRight.packets.map((packet) => packet.type)).toEqual(["host", "otherhost", "broadcast"]);
  });

  it("counts frame bytes at both ends", () => {
    const { fabric, left, right } = cable();
    left.send(fabric.inject(frame(RIGHT_MAC, 100), left.place));
    fabric.scheduler.run();
    expect(left.counters).toEqual({ rxPackets: 0, rxBytes: 0, rxDropped: 0, txPackets: 1, txBytes: 100, txDropped: 0 });
    expect(right.counters).toEqual({
      rxPackets: 1,
      rxBytes: 100,
      rxDropped: 0,
      txPackets: 0,
      txBytes: 0,
      txDropped: 0,
    });
  });

  it("keeps the books, whatever is sent while ends go up and down", () => {
    const action = fc.oneof(
      fc.record({ act: fc.constant("send" as const), left: fc.boolean(), length: fc.integer({ min: 14, max: 1600 }) }),
      fc.record({ act: fc.constant("up" as const), left: fc.boolean(), up: fc.boolean() }),
      fc.record({ act: fc.constant("run" as const) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const { fabric, left, right, atLeft, atRight } = cable();
        for (const a of actions) {
          if (a.act === "run") fabric.scheduler.run();
          else if (a.act === "up") (a.left ? left : right).setUp(a.up);
          else (a.left ? left : right).send(fabric.inject(frame(BROADCAST_MAC, a.length), 0));
          expect(outstanding(fabric)).toBe(fabric.pool.held);
        }
        fabric.scheduler.run();
        expect(fabric.pool.held).toBe(atLeft.packets.length + atRight.packets.length);
        expect(right.counters.rxPackets).toBe(atRight.packets.length);
        expect(left.counters.rxPackets).toBe(atLeft.packets.length);
      }),
    );
  });
});

describe("a veth end that is down", () => {
  it("makes the other end drop what it sends, which counts as a transmit drop there alone", () => {
    const { fabric, left, right } = cable();
    right.setUp(false);
    left.send(fabric.inject(frame(RIGHT_MAC), left.place));
    fabric.scheduler.run();
    expect(dropped(fabric, "QDISC_DROP")).toBe(1);
    expect(left.counters).toMatchObject({ txPackets: 0, txDropped: 1 });
    expect(right.counters).toMatchObject({ rxPackets: 0, rxDropped: 0 });
    expect(outstanding(fabric)).toBe(0);
  });

  it("drops a frame that was under way when it went down", () => {
    const { fabric, left, right, atRight } = cable();
    fabric.scheduler.disable();
    left.send(fabric.inject(frame(RIGHT_MAC), left.place));
    right.setUp(false);
    fabric.scheduler.enable();
    expect(dropped(fabric, "DEV_READY")).toBe(1);
    expect(atRight.packets).toEqual([]);
    expect(outstanding(fabric)).toBe(0);
  });

  it("takes the carrier from both, and gives it back to both", () => {
    const { left, right } = cable();
    expect([left.carrier, right.carrier]).toEqual([true, true]);
    right.setUp(false);
    expect([left.carrier, right.carrier]).toEqual([false, false]);
    right.setUp(true);
    expect([left.carrier, right.carrier]).toEqual([true, true]);
  });

  it("is news to the watchers of both ends, once each", () => {
    const { left, right } = cable();
    const heard: string[] = [];
    left.watchers.push({ deviceChanged: (device) => heard.push(`${device.name} ${device.carrier}`) });
    right.watchers.push({ deviceChanged: (device) => heard.push(`${device.name} ${device.carrier}`) });
    right.setUp(false);
    right.setUp(false);
    expect(heard.sort()).toEqual(["eth0 false", "veth1 false"]);
  });
});

describe("the MTU of the receiving end", () => {
  it("lets pass a frame of MTU, Ethernet header and VLAN tag, and drops one byte more at both ends", () => {
    const { fabric, left, right, atRight } = cable({ mtu: 9000 }, { mtu: 1000 });
    left.send(fabric.inject(frame(RIGHT_MAC, 1018), left.place));
    left.send(fabric.inject(frame(RIGHT_MAC, 1019), left.place));
    fabric.scheduler.run();
    expect(atRight.packets.map((packet) => packet.length)).toEqual([1018]);
    expect(dropped(fabric, "PKT_TOO_BIG")).toBe(1);
    expect(left.counters).toMatchObject({ txPackets: 1, txDropped: 1 });
    expect(right.counters).toMatchObject({ rxPackets: 1, rxDropped: 1 });
  });

  it("is what counts, not that of the sending end", () => {
    const { fabric, left, atRight } = cable({ mtu: 1000 }, { mtu: 9000 });
    left.send(fabric.inject(frame(RIGHT_MAC, 5000), left.place));
    fabric.scheduler.run();
    expect(atRight.packets.length).toBe(1);
  });
});

describe("what a packet keeps across the cable", () => {
  function cross(rightNamespace: string): Packet {
    const { fabric, left, atRight } = cable({}, { namespace: rightNamespace });
    const packet = fabric.inject(frame(RIGHT_MAC), left.place);
    soil(packet);
    packet.segmentSize = 0;
    left.send(packet);
    fabric.scheduler.run();
    return atRight.packets[0]!;
  }

  /** Where it is, who it is, what its bytes are, and what is meaningless while `bridgeDnat` is false. */
  const FREE = [
    "id",
    "parent",
    "end",
    "live",
    "type",
    "device",
    "arrival",
    "vlan",
    "checksumValid",
    "shown",
    "mark",
    "bridgeSourceHigh",
    "bridgeSourceLow",
  ];

  it("is nothing of what the sending namespace knew of it", () => {
    for (const namespace of ["web", "root"]) {
      const kept = Object.entries(fields(cross(namespace))).filter(([name]) => !FREE.includes(name));
      const fresh = Object.entries(fields(new Packet(100))).filter(([name]) => !FREE.includes(name));
      expect(Object.fromEntries(kept)).toEqual(Object.fromEntries(fresh));
    }
  });

  it("is its identity", () => {
    expect(cross("root")).toMatchObject({ id: 1, parent: 77 });
  });

  it("is its mark inside one namespace, and not into another", () => {
    expect(cross("web").mark).toBe(77);
    expect(cross("root").mark).toBe(0);
  });
});

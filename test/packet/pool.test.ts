import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FRAME, NETWORK, Packet, SLACK } from "../../src/packet/packet.ts";
import { FRAME_MAX, Pool } from "../../src/packet/pool.ts";
import { fields, soil } from "./fields.ts";

describe("taking a packet", () => {
  it("gives a frame of the length asked for, with room behind it", () => {
    const pool = new Pool();
    for (const length of [14, 60, 1514, 2030, 2031, 9014, 65_550, FRAME_MAX]) {
      const packet = pool.take(length);
      expect(packet.length).toBe(length);
      expect(packet.end).toBe(FRAME + length);
      expect(packet.capacity).toBeGreaterThanOrEqual(packet.end);
      expect(packet.bytes.length).toBe(packet.capacity + SLACK);
      expect(packet.view.buffer).toBe(packet.bytes.buffer);
      expect(packet.view.byteLength).toBe(packet.bytes.length);
    }
  });

  it("refuses a frame that is too long, and holds nothing then", () => {
    const pool = new Pool();
    expect(() => pool.take(FRAME_MAX + 1)).toThrow(RangeError);
    expect(pool.held).toBe(0);
  });

  it("fits the longest datagram that IPv4 can say", () => {
    expect(FRAME_MAX).toBeGreaterThanOrEqual(14 + 65_535);
  });

  it("numbers packets from 1 and never twice", () => {
    const pool = new Pool();
    const ids = [pool.take(60).id];
    for (let i = 0; i < 5; i++) {
      const packet = pool.take(60);
      ids.push(packet.id);
      pool.release(packet);
    }
    expect(ids).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("reuses a released buffer of the same shelf only", () => {
    const pool = new Pool();
    const small = pool.take(60);
    const large = pool.take(9000);
    pool.release(small);
    pool.release(large);
    expect(pool.take(5000)).toBe(large);
    expect(pool.take(1514)).toBe(small);
    expect(pool.take(60)).not.toBe(small);
  });

  it("gives it as new, at first and on reuse", () => {
    for (const length of [60, 9000]) {
      const pool = new Pool();
      const asNew = { ...fields(new Packet(100)), end: FRAME + length, live: true };
      const packet = pool.take(length);
      expect(fields(packet)).toEqual({ ...asNew, id: 1 });
      soil(packet);
      pool.release(packet);
      const again = pool.take(length);
      expect(again).toBe(packet);
      expect(fields(again)).toEqual({ ...asNew, id: 2 });
    }
  });
});

describe("releasing a packet", () => {
  it("twice throws, and counts once", () => {
    const pool = new Pool();
    const packet = pool.take(60);
    pool.release(packet);
    expect(() => pool.release(packet)).toThrow(`packet ${packet.id} released twice`);
    expect(pool.held).toBe(0);
  });

  it("lets go of the objects that it refers to", () => {
    const pool = new Pool();
    const packet = pool.take(60);
    soil(packet);
    pool.release(packet);
    expect([packet.connection, packet.route, packet.socket]).toEqual([null, null, null]);
    expect(packet.live).toBe(false);
  });

  it("keeps the count of held packets right, and no two holders share a buffer", () => {
    const action = fc.oneof(
      fc.record({ act: fc.constant("take" as const), length: fc.constantFrom(14, 1514, 9000) }),
      fc.record({ act: fc.constant("clone" as const), pick: fc.nat() }),
      fc.record({ act: fc.constant("release" as const), pick: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const pool = new Pool();
        const held: Packet[] = [];
        for (const a of actions) {
          if (a.act === "take") held.push(pool.take(a.length));
          else if (held.length === 0) continue;
          else if (a.act === "clone") held.push(pool.clone(held[a.pick % held.length]!));
          else pool.release(held.splice(a.pick % held.length, 1)[0]!);
          expect(pool.held).toBe(held.length);
          expect(new Set(held).size).toBe(held.length);
          expect(held.every((packet) => packet.live)).toBe(true);
        }
      }),
    );
  });
});

describe("cloning a packet", () => {
  it("copies the frame's bytes, and neither sees what the other writes later", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 14, maxLength: 3000 }), (frame) => {
        const pool = new Pool();
        const packet = pool.take(frame.length);
        packet.bytes.set(frame, FRAME);
        const clone = pool.clone(packet);
        expect(clone.bytes.slice(FRAME, clone.end)).toEqual(frame);
        packet.bytes.fill(0);
        expect(clone.bytes.slice(FRAME, clone.end)).toEqual(frame);
        clone.bytes.fill(255);
        expect(packet.bytes.every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  it("copies every field but the id, the parent, the sender's socket and the pieces, which only one packet can leave in", () => {
    const pool = new Pool();
    const packet = pool.take(60);
    soil(packet);
    const before = fields(packet);
    const clone = pool.clone(packet);
    expect(fields(packet)).toEqual(before);
    expect(fields(clone)).toEqual({ ...before, id: packet.id + 1, parent: packet.id, socket: null, fragments: null });
  });

  it("of a frame that was cut keeps the cut length", () => {
    const pool = new Pool();
    const packet = pool.take(9000);
    packet.end = NETWORK + 20;
    expect(pool.clone(packet).end).toBe(NETWORK + 20);
  });
});

describe("exchanging two packets' bytes", () => {
  it("swaps frames and lengths and nothing else that is known of them", () => {
    const pool = new Pool();
    const small = pool.take(60);
    const large = pool.take(9000);
    soil(small);
    small.bytes.fill(1);
    large.bytes.fill(2);
    const [before, after] = [fields(small), fields(large)];
    pool.exchange(small, large);
    expect(fields(small)).toEqual({ ...before, end: FRAME + 9000 });
    expect(fields(large)).toEqual({ ...after, end: FRAME + 60 });
    expect(small.bytes.every((byte) => byte === 2) && large.bytes.every((byte) => byte === 1)).toBe(true);
    expect([small.view.getUint8(0), large.view.getUint8(0)]).toEqual([2, 1]);
    for (const packet of [small, large]) expect(packet.bytes.length).toBe(packet.capacity + SLACK);
  });

  it("puts each buffer back where it belongs", () => {
    const pool = new Pool();
    const [small, large] = [pool.take(60), pool.take(9000)];
    pool.exchange(small, large);
    pool.release(small);
    pool.release(large);
    expect(pool.take(60).capacity).toBeLessThan(9000);
    expect(pool.take(9000).capacity).toBeGreaterThan(9000);
  });
});

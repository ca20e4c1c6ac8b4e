import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fold, pseudoSum, sumBytes } from "../../src/wire/checksum.ts";
import { PROTOCOL_UDP } from "../../src/wire/ipv4.ts";
import * as udp from "../../src/wire/udp.ts";

const port = fc.nat({ max: 0xffff });
const address = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const addresses = fc.record({ source: address, destination: address });
const ports = fc.record({ source: port, destination: port });

function datagram(
  data: Uint8Array,
  p: { source: number; destination: number },
  a: { source: number; destination: number },
): DataView {
  const bytes = new Uint8Array(8 + data.length);
  bytes.set(data, 8);
  const view = new DataView(bytes.buffer);
  udp.write(view, 0, p, bytes.length, a);
  return view;
}

describe("a UDP datagram", () => {
  it("has a header of eight bytes", () => {
    expect(udp.UDP_HEADER).toBe(8);
  });

  it("can be read back and is valid between its addresses", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), ports, addresses, (data, p, a) => {
        const view = datagram(data, p, a);
        expect(udp.sourcePort(view, 0)).toBe(p.source);
        expect(udp.destinationPort(view, 0)).toBe(p.destination);
        expect(udp.length(view, 0)).toBe(8 + data.length);
        expect(new Uint8Array(view.buffer, 8)).toEqual(data);
        expect(udp.isValid(view, 0, 8 + data.length, a.source, a.destination)).toBe(true);
        expect(udp.checksumField(view, 0)).not.toBe(0);
      }),
    );
  });

  it("sends a computed zero as 0xffff, which is valid", () => {
    const a = { source: 0x0a000001, destination: 0x0a000002 };
    const p = { source: 1000, destination: 53 };
    const without = datagram(Uint8Array.of(0, 0), p, a);
    const filler = udp.checksumField(without, 0);
    const view = datagram(Uint8Array.of(filler >> 8, filler & 255), p, a);
    view.setUint16(6, 0);
    expect(fold(sumBytes(view, 0, 10, pseudoSum(a.source, a.destination, PROTOCOL_UDP, 10)))).toBe(0xffff);
    udp.write(view, 0, p, 10, a);
    expect(udp.checksumField(view, 0)).toBe(0xffff);
    expect(udp.isValid(view, 0, 10, a.source, a.destination)).toBe(true);
  });

  it("is valid without a checksum, whatever it holds", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), ports, addresses, (data, p, a) => {
        const view = datagram(data, p, a);
        view.setUint16(6, 0);
        if (data.length > 0) view.setUint8(8, data[0]! ^ 255);
        expect(udp.isValid(view, 0, 8 + data.length, a.source, a.destination)).toBe(true);
      }),
    );
  });

  it("is not valid when one bit of it, or of its addresses, has changed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), ports, addresses, fc.nat(), (data, p, a, pick) => {
        const view = datagram(data, p, a);
        const length = 8 + data.length;
        expect(udp.isValid(view, 0, length, a.source ^ (1 << (pick & 31)), a.destination)).toBe(false);
        expect(udp.isValid(view, 0, length, a.source, a.destination ^ (1 << (pick & 31)))).toBe(false);
        const bit = pick % (length * 8);
        view.setUint8(bit >> 3, view.getUint8(bit >> 3) ^ (1 << (bit & 7)));
        if (udp.checksumField(view, 0) !== 0) expect(udp.isValid(view, 0, length, a.source, a.destination)).toBe(false);
      }),
    );
  });
});

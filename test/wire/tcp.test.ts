import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as tcp from "../../src/wire/tcp.ts";

const port = fc.nat({ max: 0xffff });
const signed = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const fields = fc.record({
  source: port,
  destination: port,
  sequence: signed,
  acknowledgement: signed,
  flags: fc.nat({ max: 255 }),
  window: port,
});

describe("a TCP segment", () => {
  it("can be read back and is valid between its addresses", () => {
    fc.assert(
      fc.property(fields, fc.uint8Array({ maxLength: 61 }), signed, signed, (f, data, source, destination) => {
        const bytes = new Uint8Array(20 + data.length).fill(0xaa);
        bytes.set(data, 20);
        const view = new DataView(bytes.buffer);
        tcp.write(view, 0, f);
        view.setUint16(16, 0xabcd);
        tcp.setChecksum(view, 0, bytes.length, source, destination);
        expect({
          source: tcp.sourcePort(view, 0),
          destination: tcp.destinationPort(view, 0),
          sequence: tcp.sequenceNumber(view, 0),
          acknowledgement: tcp.acknowledgement(view, 0),
          flags: tcp.flags(view, 0),
          window: tcp.window(view, 0),
        }).toEqual(f);
        expect(tcp.headerLength(view, 0)).toBe(20);
        expect(bytes.subarray(20)).toEqual(data);
        expect(view.getUint16(18)).toBe(0);
        expect(tcp.isValid(view, 0, bytes.length, source, destination)).toBe(true);
      }),
    );
  });

  it("is not valid when one bit of it, or of its addresses, has changed", () => {
    fc.assert(
      fc.property(fields, signed, signed, fc.nat({ max: 191 }), (f, source, destination, bit) => {
        const view = new DataView(new ArrayBuffer(24));
        tcp.write(view, 0, f);
        tcp.setChecksum(view, 0, 24, source, destination);
        expect(tcp.isValid(view, 0, 24, source ^ (1 << (bit & 31)), destination)).toBe(false);
        view.setUint8(bit >> 3, view.getUint8(bit >> 3) ^ (1 << (bit & 7)));
        expect(tcp.isValid(view, 0, 24, source, destination)).toBe(false);
      }),
    );
  });

  it("counts its header's length in 32-bit words, whatever stands in the reserved bits", () => {
    const view = new DataView(new ArrayBuffer(20));
    view.setUint8(12, 0xaf);
    expect(tcp.headerLength(view, 0)).toBe(40);
  });

  it("has its flags where RFC 9293 puts them", () => {
    const { FIN, SYN, RST, PSH, ACK, URG, ECE, CWR } = tcp;
    expect([FIN, SYN, RST, PSH, ACK, URG, ECE, CWR]).toEqual([1, 2, 4, 8, 16, 32, 64, 128]);
    expect(tcp.TCP_HEADER).toBe(20);
  });

  it("shows its flags as letters in header order", () => {
    expect(tcp.formatFlags(tcp.SYN)).toBe("S");
    expect(tcp.formatFlags(tcp.SYN | tcp.ACK)).toBe("SA");
    expect(tcp.formatFlags(tcp.PSH | tcp.ACK)).toBe("PA");
    expect(tcp.formatFlags(tcp.FIN | tcp.ACK)).toBe("FA");
    expect(tcp.formatFlags(255)).toBe("FSRPAUEC");
    expect(tcp.formatFlags(0)).toBe("none");
  });
});

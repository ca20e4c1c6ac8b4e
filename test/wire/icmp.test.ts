import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as icmp from "../../src/wire/icmp.ts";

const byte = fc.nat({ max: 255 });
const signed = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

describe("an ICMP message", () => {
  it("can be read back and is valid", () => {
    fc.assert(
      fc.property(byte, byte, signed, fc.uint8Array({ maxLength: 61 }), (type, code, rest, data) => {
        const bytes = new Uint8Array(8 + data.length).fill(0xaa);
        bytes.set(data, 8);
        bytes[bytes.length - 1]! |= 1;
        const view = new DataView(bytes.buffer);
        icmp.write(view, 0, type, code, rest);
        const last = bytes[bytes.length - 1]!;
        expect(view.getUint16(2)).toBe(0);
        view.setUint16(2, 0xabcd);
        icmp.setChecksum(view, 0, bytes.length);
        expect([icmp.type(view, 0), icmp.code(view, 0)]).toEqual([type, code]);
        expect([icmp.identifier(view, 0), icmp.sequence(view, 0)]).toEqual([rest >>> 16, rest & 0xffff]);
        expect([icmp.nextHopMtu(view, 0), icmp.gateway(view, 0)]).toEqual([rest & 0xffff, rest]);
        expect(bytes[bytes.length - 1]).toBe(last);
        if (type + code + last !== 0) expect(icmp.isValid(view, 0, bytes.length)).toBe(true);
      }),
    );
  });

  it("is not valid when one bit of it has changed", () => {
    fc.assert(
      fc.property(signed, fc.uint8Array({ maxLength: 40 }), fc.nat(), (rest, data, pick) => {
        const bytes = new Uint8Array(8 + data.length);
        bytes.set(data, 8);
        const view = new DataView(bytes.buffer);
        icmp.write(view, 0, icmp.ECHO_REQUEST, 0, rest);
        icmp.setChecksum(view, 0, bytes.length);
        const bit = pick % (bytes.length * 8);
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        expect(icmp.isValid(view, 0, bytes.length)).toBe(false);
      }),
    );
  });
});

describe("ICMP types", () => {
  it("have IANA's numbers, and codes of type 3 too", () => {
    expect(icmp).toMatchObject({
      ICMP_HEADER: 8,
      ECHO_REPLY: 0,
      UNREACHABLE: 3,
      SOURCE_QUENCH: 4,
      REDIRECT: 5,
      ECHO_REQUEST: 8,
      TIME_EXCEEDED: 11,
      PARAMETER_PROBLEM: 12,
      TIMESTAMP_REQUEST: 13,
      TIMESTAMP_REPLY: 14,
      INFO_REQUEST: 15,
      INFO_REPLY: 16,
      ADDRESS_REQUEST: 17,
      ADDRESS_REPLY: 18,
      NET_UNREACHABLE: 0,
      HOST_UNREACHABLE: 1,
      PROTOCOL_UNREACHABLE: 2,
      PORT_UNREACHABLE: 3,
      FRAGMENTATION_NEEDED: 4,
      SOURCE_ROUTE_FAILED: 5,
      ADMIN_PROHIBITED: 13,
    });
  });

  const types = Array.from({ length: 256 }, (_, type) => type);

  it("that quote the packet they complain about are 3, 4, 5, 11 and 12", () => {
    expect(types.filter(icmp.isError)).toEqual([3, 4, 5, 11, 12]);
  });

  it("that carry an identifier are echo, timestamp, information and address mask", () => {
    expect(types.filter(icmp.isQuery)).toEqual([0, 8, 13, 14, 15, 16, 17, 18]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NETWORK } from "../../src/packet/packet.ts";
import { Pool } from "../../src/packet/pool.ts";
import { checksum } from "../../src/wire/checksum.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";

const byte = fc.nat({ max: 255 });
const word = fc.nat({ max: 0xffff });
const address = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const fields = fc.record({
  source: address,
  destination: address,
  protocol: byte,
  length: fc.integer({ min: 20, max: 1500 }),
  ttl: byte,
  tos: byte,
  identification: word,
  fragment: word,
});

function header(over: Partial<ipv4.HeaderFields> = {}): DataView {
  const view = new DataView(new ArrayBuffer(1600));
  ipv4.write(view, 0, { source: 0x0a000001, destination: 0x0a000002, protocol: 17, length: 100, ...over });
  return view;
}

describe("writing a header", () => {
  it("can be read back field by field and passes the kernel's check", () => {
    fc.assert(
      fc.property(fields, fc.constantFrom(0, 16, 33), (f, at) => {
        const view = new DataView(new ArrayBuffer(1600));
        ipv4.write(view, at, f);
        expect({
          source: ipv4.source(view, at),
          destination: ipv4.destination(view, at),
          protocol: ipv4.protocol(view, at),
          length: ipv4.totalLength(view, at),
          ttl: ipv4.ttl(view, at),
          tos: ipv4.tos(view, at),
          identification: ipv4.identification(view, at),
          fragment: ipv4.fragmentWord(view, at),
        }).toEqual(f);
        expect(ipv4.headerLength(view, at)).toBe(20);
        expect(ipv4.check(view, at, at + f.length)).toBeNull();
      }),
    );
  });

  it("uses Linux's defaults: TTL 64, no fragment, no TOS", () => {
    const view = header();
    expect(ipv4.ttl(view, 0)).toBe(64);
    expect(ipv4.fragmentWord(view, 0)).toBe(0);
    expect(ipv4.tos(view, 0)).toBe(0);
    expect(ipv4.identification(view, 0)).toBe(0);
  });

  it("overwrites whatever stood there", () => {
    const clean = header();
    const dirty = new DataView(new ArrayBuffer(1600));
    new Uint8Array(dirty.buffer).fill(0xaa);
    ipv4.write(dirty, 0, { source: 0x0a000001, destination: 0x0a000002, protocol: 17, length: 100 });
    expect(new Uint8Array(dirty.buffer, 0, 20)).toEqual(new Uint8Array(clean.buffer, 0, 20));
  });
});

it("has IANA's protocol numbers", () => {
  expect([ipv4.PROTOCOL_ICMP, ipv4.PROTOCOL_TCP, ipv4.PROTOCOL_UDP]).toEqual([1, 6, 17]);
  expect(ipv4.IPV4_HEADER).toBe(20);
});

describe("fragments", () => {
  it("are told by an offset or by more to come, not by the don't-fragment bit", () => {
    const of = (fragment: number): boolean => ipv4.isFragment(header({ fragment }), 0);
    expect(of(0)).toBe(false);
    expect(of(ipv4.DONT_FRAGMENT)).toBe(false);
    expect(of(ipv4.MORE_FRAGMENTS)).toBe(true);
    expect(of(1)).toBe(true);
    expect(of(ipv4.MORE_FRAGMENTS | 185)).toBe(true);
    expect(of(0x8000)).toBe(false);
  });

  it("count their offset in units of eight bytes", () => {
    expect(ipv4.fragmentOffset(header({ fragment: ipv4.MORE_FRAGMENTS | 185 }), 0)).toBe(1480);
    expect(ipv4.fragmentOffset(header({ fragment: 0xffff }), 0)).toBe(65_528);
  });

  it("may be forbidden", () => {
    expect(ipv4.dontFragment(header({ fragment: ipv4.DONT_FRAGMENT }), 0)).toBe(true);
    expect(ipv4.dontFragment(header({ fragment: ~ipv4.DONT_FRAGMENT & 0xffff }), 0)).toBe(false);
  });
});

describe("changing a header in place", () => {
  it("keeps the checksum right when the TTL changes", () => {
    fc.assert(
      fc.property(fields, byte, (f, ttl) => {
        const view = header(f);
        ipv4.setTtl(view, 0, ttl);
        expect(ipv4.ttl(view, 0)).toBe(ttl);
        expect(ipv4.protocol(view, 0)).toBe(f.protocol);
        expect(ipv4.check(view, 0, f.length)).toBeNull();
      }),
    );
  });

  it("keeps the checksum right when the TOS byte changes", () => {
    fc.assert(
      fc.property(fields, byte, (f, tos) => {
        const view = header(f);
        ipv4.setTos(view, 0, tos);
        expect(ipv4.tos(view, 0)).toBe(tos);
        expect(ipv4.headerLength(view, 0)).toBe(20);
        expect(ipv4.check(view, 0, f.length)).toBeNull();
      }),
    );
  });

  it("gives every checksum the value that ip_decrease_ttl() gives it", () => {
    const view = header();
    for (let field = 0; field <= 0xffff; field++) {
      view.setUint8(8, 64);
      view.setUint16(10, field);
      ipv4.setTtl(view, 0, 63);
      const sum = field + 0x0100;
      expect(view.getUint16(10)).toBe((sum + (sum >= 0xffff ? 1 : 0)) & 0xffff);
    }
  });

  it("gives every checksum the value that ipv4_change_dsfield() gives it", () => {
    fc.assert(
      fc.property(fc.oneof(fc.constantFrom(0, 1, 0xfffe, 0xffff), word), byte, byte, (field, before, after) => {
        const view = header({ tos: before });
        view.setUint16(10, field);
        ipv4.setTos(view, 0, after);
        let sum = field + before;
        if ((sum + 1) >> 16) sum = (sum + 1) & 0xffff;
        sum = (sum - after) >>> 0;
        sum += sum >>> 16;
        expect(view.getUint16(10)).toBe(sum & 0xffff);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("the kernel's check on arrival", () => {
  it("accepts a frame that is padded behind the datagram", () => {
    expect(ipv4.check(header({ length: 28 }), 0, 46)).toBeNull();
  });

  it("calls a frame too short for a header a header error", () => {
    for (let end = 0; end < 20; end++) expect(ipv4.check(header(), 0, end)).toBe("IP_INHDR");
  });

  it("calls another version, a header length below 20 and a cut header header errors", () => {
    const view = header();
    for (const first of [0x65, 0x05, 0x44, 0x40]) {
      view.setUint8(0, first);
      expect(ipv4.check(view, 0, 100)).toBe("IP_INHDR");
    }
    view.setUint8(0, 0x4f);
    expect(ipv4.check(view, 0, 59)).toBe("IP_INHDR");
  });

  it("calls a single wrong bit anywhere behind the version and length a checksum error", () => {
    for (let bit = 8; bit < 160; bit++) {
      const view = header();
      view.setUint8(bit >> 3, view.getUint8(bit >> 3) ^ (1 << (bit & 7)));
      expect(ipv4.check(view, 0, 1600)).toBe("IP_CSUM");
    }
  });

  it("calls a frame shorter than the total length too small, and says so before a total length below the header", () => {
    expect(ipv4.check(header({ length: 100 }), 0, 99)).toBe("PKT_TOO_SMALL");
    expect(ipv4.check(header({ length: 100 }), 0, 100)).toBeNull();
    expect(ipv4.check(header({ length: 19 }), 0, 100)).toBe("IP_INHDR");
    expect(ipv4.check(header({ length: 0 }), 0, 100)).toBe("IP_INHDR");
  });

  it("covers the options with the checksum", () => {
    const view = header({ length: 60 });
    view.setUint8(0, 0x4f);
    for (let i = 20; i < 60; i++) view.setUint8(i, i);
    view.setUint16(10, 0);
    view.setUint16(10, checksum(view, 0, 60));
    expect(ipv4.check(view, 0, 60)).toBeNull();
    view.setUint8(59, 0);
    expect(ipv4.check(view, 0, 60)).toBe("IP_CSUM");
  });

  it("is satisfied by the checksum that setChecksum writes, options or not", () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 15 }), fc.uint8Array({ minLength: 60, maxLength: 60 }), (words, bytes) => {
        const view = new DataView(Uint8Array.from(bytes).buffer);
        view.setUint8(0, 0x40 | words);
        view.setUint16(2, 60);
        ipv4.setChecksum(view, 0);
        expect(ipv4.check(view, 0, 60)).toBeNull();
      }),
    );
  });

  it("never throws on garbage of any length in a packet's buffer", () => {
    const pool = new Pool();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, plausible) => {
        const packet = pool.take(14 + bytes.length);
        packet.bytes.set(bytes, NETWORK);
        if (plausible) packet.bytes[NETWORK] = 0x40 | (bytes[0] ?? 0);
        const reason = ipv4.check(packet.view, NETWORK, packet.end);
        pool.release(packet);
        expect([null, "IP_INHDR", "IP_CSUM", "PKT_TOO_SMALL"]).toContain(reason);
        if (bytes.length < 20) expect(reason).not.toBeNull();
      }),
      { numRuns: 2000 },
    );
  });
});

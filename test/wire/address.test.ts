import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as address from "../../src/wire/address.ts";

const ipv4 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const length = fc.integer({ min: 0, max: 32 });

describe("an IPv4 address", () => {
  it("is its four bytes in order, as a signed integer", () => {
    expect(address.parseIpv4("0.0.0.0")).toBe(0);
    expect(address.parseIpv4("1.2.3.4")).toBe(0x01020304);
    expect(address.parseIpv4("255.255.255.255")).toBe(-1);
    expect(address.parseIpv4("192.168.0.1")).toBe(0xc0a80001 | 0);
  });

  it("survives being formatted and parsed", () => {
    fc.assert(fc.property(ipv4, (a) => address.parseIpv4(address.formatIpv4(a)) === a));
  });

  it("is formatted the same from a signed and an unsigned integer", () => {
    fc.assert(fc.property(ipv4, (a) => address.formatIpv4(a >>> 0) === address.formatIpv4(a)));
  });

  it("survives being parsed and formatted", () => {
    const byte = fc.nat({ max: 255 });
    fc.assert(
      fc.property(fc.tuple(byte, byte, byte, byte), (bytes) => {
        expect(address.formatIpv4(address.parseIpv4(bytes.join(".")))).toBe(bytes.join("."));
      }),
    );
  });

  it.each([
    "",
    "10.1",
    "10.0.0",
    "10.0.0.1.2",
    "010.0.0.1",
    "10.0.0.01",
    "00.0.0.0",
    "256.0.0.1",
    "10.0.0.999",
    "-1.0.0.1",
    "0x7f.0.0.1",
    "1e1.0.0.1",
    " 10.0.0.1",
    "10.0.0.1 ",
    "10.0.0.1\n",
    "10.0.0.1/24",
    "10..0.1",
    "2130706433",
    "::1",
    "::ffff:10.0.0.1",
    "localhost",
    "١.٢.٣.٤",
  ])("is refused when written as %j", (text) => {
    expect(() => address.parseIpv4(text)).toThrow(RangeError);
  });

  it("is either parsed to what it prints as, or refused", () => {
    const near = fc.array(fc.constantFrom(..."0123456789.x/ -"), { maxLength: 16 }).map((letters) => letters.join(""));
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), (text) => {
        let parsed: number;
        try {
          parsed = address.parseIpv4(text);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        expect(address.formatIpv4(parsed)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a prefix", () => {
  it("has as many leading ones in its mask as its length says", () => {
    for (let bits = 0; bits <= 32; bits++) {
      const text = "1".repeat(bits).padEnd(32, "0");
      expect((address.maskOf(bits) >>> 0).toString(2).padStart(32, "0")).toBe(text);
    }
  });

  it("survives being formatted and parsed, by length and by mask", () => {
    fc.assert(
      fc.property(ipv4, length, (a, bits) => {
        const prefix = { address: a & address.maskOf(bits), length: bits, mask: address.maskOf(bits) };
        const text = address.formatPrefix(prefix);
        expect(address.parsePrefix(text)).toEqual(prefix);
        expect(address.parsePrefix(`${address.formatIpv4(a)}/${address.formatIpv4(prefix.mask)}`)).toEqual(prefix);
      }),
    );
  });

  it("clears the host bits", () => {
    expect(address.formatPrefix(address.parsePrefix("10.1.2.3/8"))).toBe("10.0.0.0/8");
    expect(address.formatPrefix(address.parsePrefix("10.1.2.3/255.255.0.0"))).toBe("10.1.0.0/16");
    expect(address.formatPrefix(address.parsePrefix("10.1.2.3/0"))).toBe("0.0.0.0/0");
  });

  it("is one host where no length is written", () => {
    expect(address.parsePrefix("10.1.2.3")).toEqual({ address: 0x0a010203, length: 32, mask: -1 });
  });

  it.each([
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/8 ",
    "10.0.0.0/1e1",
    "10.0.0.0/8/8",
    "10.0.0.0/255.0.255.0",
    "10.0.0.0/0.255.255.255",
    "10.0.0.0/255.255.255.256",
    "010.0.0.0/8",
    "/8",
    "10.0.0/8",
  ])("is refused when written as %j", (text) => {
    expect(() => address.parsePrefix(text)).toThrow(RangeError);
  });
});

describe("an interface address", () => {
  it("keeps its host bits", () => {
    expect(address.parseInterface("172.17.0.1/16")).toEqual({ address: 0xac110001 | 0, length: 16 });
    expect(address.parseInterface("172.17.0.1/255.255.255.0")).toEqual({ address: 0xac110001 | 0, length: 24 });
  });
});

describe("kinds of address", () => {
  const parse = address.parseIpv4;

  it("has multicast from 224.0.0.0 to 239.255.255.255", () => {
    expect(
      ["223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0"].map((text) => address.isMulticast(parse(text))),
    ).toEqual([false, true, true, false]);
  });

  it("has loopback from 127.0.0.0 to 127.255.255.255", () => {
    expect(
      ["126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"].map((text) => address.isLoopback(parse(text))),
    ).toEqual([false, true, true, false]);
  });

  it("has 0.0.0.0 alone for the zero network", () => {
    expect(["0.0.0.0", "0.255.255.255", "1.0.0.0", "255.0.0.0"].map((text) => address.isZeronet(parse(text)))).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});

describe("a MAC address", () => {
  it("is split after its second byte", () => {
    expect(address.parseMac("02:42:ac:11:00:02")).toEqual({ high: 0x0242, low: 0xac110002 | 0 });
    expect(address.parseMac("ff:ff:ff:ff:ff:ff")).toEqual(address.BROADCAST_MAC);
  });

  it("survives being formatted and parsed", () => {
    fc.assert(
      fc.property(fc.nat({ max: 0xffff }), ipv4, (high, low) => {
        expect(address.parseMac(address.formatMac(high, low))).toEqual({ high, low });
      }),
    );
  });

  it("is written in lower case with all its zeros, and read in either case", () => {
    expect(address.formatMac(0x0000, 0x0a)).toBe("00:00:00:00:00:0a");
    expect(address.formatMac(0xabcd, 0xef012345 | 0)).toBe("ab:cd:ef:01:23:45");
    expect(address.parseMac("AB:CD:EF:01:23:45")).toEqual(address.parseMac("ab:cd:ef:01:23:45"));
  });

  it.each([
    "",
    "02:42:ac:11:00",
    "02:42:ac:11:00:02:03",
    "2:42:ac:11:00:02",
    "02-42-ac-11-00-02",
    "02:42:ac:11:00:0g",
    "0242ac110002",
  ])("is refused when written as %j", (text) => {
    expect(() => address.parseMac(text)).toThrow(RangeError);
  });
});

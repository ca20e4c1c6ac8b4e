import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as ethernet from "../../src/wire/ethernet.ts";

const high = fc.nat({ max: 0xffff });
const low = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

describe("an Ethernet header", () => {
  it("can be read back, and each part leaves the others alone", () => {
    fc.assert(
      fc.property(high, low, high, low, high, (dh, dl, sh, sl, type) => {
        const bytes = new Uint8Array(20).fill(0xaa);
        const view = new DataView(bytes.buffer);
        ethernet.setEtherType(view, 2, type);
        ethernet.setSource(view, 2, sh, sl);
        ethernet.setDestination(view, 2, dh, dl);
        expect([ethernet.destinationHigh(view, 2), ethernet.destinationLow(view, 2)]).toEqual([dh, dl]);
        expect([ethernet.sourceHigh(view, 2), ethernet.sourceLow(view, 2)]).toEqual([sh, sl]);
        expect(ethernet.etherType(view, 2)).toBe(type);
        expect([...bytes.subarray(0, 2), ...bytes.subarray(16)]).toEqual(new Array(6).fill(0xaa));
      }),
    );
  });

  it("has IEEE's numbers", () => {
    const { ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_ARP } = ethernet;
    expect([ETHERNET_HEADER, ETHERTYPE_IPV4, ETHERTYPE_ARP]).toEqual([14, 0x0800, 0x0806]);
  });

  it("puts the destination first", () => {
    const view = new DataView(new ArrayBuffer(14));
    ethernet.setDestination(view, 0, 0x0102, 0x03040506);
    ethernet.setSource(view, 0, 0x1112, 0x13141516);
    ethernet.setEtherType(view, 0, ethernet.ETHERTYPE_IPV4);
    expect(Buffer.from(view.buffer).toString("hex")).toBe("0102030405061112131415160800");
  });

  it("means a group when the lowest bit of the first byte is set", () => {
    expect([0x0100, 0x3333, 0xffff, 0x01ff].map(ethernet.isGroup)).toEqual([true, true, true, true]);
    expect([0x0000, 0x0242, 0xfeff, 0x00ff].map(ethernet.isGroup)).toEqual([false, false, false, false]);
  });

  it("means everybody only when all 48 bits are set", () => {
    expect(ethernet.isBroadcast(0xffff, -1)).toBe(true);
    expect(ethernet.isBroadcast(0xffff, -2)).toBe(false);
    expect(ethernet.isBroadcast(0xfffe, -1)).toBe(false);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as arp from "../../src/wire/arp.ts";

const signed = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const end = fc.record({ high: fc.nat({ max: 0xffff }), low: signed, address: signed });

function message(): DataView {
  const view = new DataView(new ArrayBuffer(28));
  arp.write(
    view,
    0,
    arp.ARP_REQUEST,
    { high: 0x0242, low: 1, address: 0x0a000001 },
    { high: 0, low: 0, address: 0x0a000002 },
  );
  return view;
}

describe("an ARP message", () => {
  it("can be read back and passes its check", () => {
    fc.assert(
      fc.property(fc.constantFrom(arp.ARP_REQUEST, arp.ARP_REPLY), end, end, (op, sender, target) => {
        const view = new DataView(new ArrayBuffer(44));
        arp.write(view, 16, op, sender, target);
        expect(arp.operation(view, 16)).toBe(op);
        expect({
          high: arp.senderHigh(view, 16),
          low: arp.senderLow(view, 16),
          address: arp.senderAddress(view, 16),
        }).toEqual(sender);
        expect({
          high: arp.targetHigh(view, 16),
          low: arp.targetLow(view, 16),
          address: arp.targetAddress(view, 16),
        }).toEqual(target);
        expect(arp.check(view, 16, 44)).toBeNull();
      }),
    );
  });

  it("is laid out as RFC 826 says", () => {
    expect(Buffer.from(message().buffer).toString("hex")).toBe(
      "0001080006040001" + "0242000000010a000001" + "0000000000000a000002",
    );
  });

  it("is too small when one byte is missing, and may be padded", () => {
    const view = new DataView(new ArrayBuffer(46));
    new Uint8Array(view.buffer).set(new Uint8Array(message().buffer));
    expect(arp.check(view, 0, 27)).toBe("PKT_TOO_SMALL");
    expect(arp.check(view, 0, 46)).toBeNull();
  });

  it("is refused for any other hardware, protocol or address size", () => {
    for (let at = 0; at < 6; at++) {
      const view = message();
      view.setUint8(at, view.getUint8(at) ^ 1);
      expect(arp.check(view, 0, 28)).toBe("NOT_SPECIFIED");
    }
  });
});

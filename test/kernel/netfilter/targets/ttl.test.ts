import { describe, expect, it } from "vitest";
import { NETWORK } from "../../../../src/packet/packet.ts";
import { ttl } from "../../../../src/wire/ipv4.ts";
import { isIntact, udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

const MANGLE = { table: "mangle", chain: "PREROUTING" } as const;

describe("the target TTL", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(["-j TTL --ttl-set 42", "-j TTL --ttl-inc 1", "-j TTL --ttl-dec 255"], MANGLE);
  });

  it.each([
    ["--ttl-set 42", 64, 42],
    ["--ttl-set 0", 64, 0],
    ["--ttl-inc 1", 64, 65],
    ["--ttl-inc 10", 250, 255],
    ["--ttl-dec 1", 64, 63],
    ["--ttl-dec 65", 64, 0],
  ])("by %s turns %i into %i and keeps the checksum right", (options, before, after) => {
    const packet = udpPacket(pool, { ttl: before });
    expect(targetOf(`-j TTL ${options}`, MANGLE).apply(packet, contextOf())).toBe("CONTINUE");
    expect(ttl(packet.view, NETWORK)).toBe(after);
    expect(isIntact(packet)).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j TTL --ttl-set 256", MANGLE)).toBe('18 "256" | a TTL (0-255)');
    expect(refusal("-j TTL --ttl-inc 0", MANGLE)).toBe('18 "0" | a TTL (1-255)');
    expect(refusal("-j TTL --ttl-dec 1 --ttl-inc 1", MANGLE)).toBe('20 "--ttl-inc" | no --ttl-inc beside --ttl-dec');
    expect(refusal("-j TTL", MANGLE)).toBe('4 "TTL" | -j TTL with --ttl-set, --ttl-dec or --ttl-inc');
    expect(refusal("-j TTL --ttl-set 1")).toBe('4 "TTL" | TTL only in table mangle');
  });
});

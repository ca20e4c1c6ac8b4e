import { describe, expect, it } from "vitest";
import { parseSets } from "../../../../src/kernel/netfilter/ipset-text.ts";
import { rawPacket, udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, pool, refusal, targetOf } from "../one-rule.ts";

const SETS =
  "create s hash:ip\ncreate w hash:ip netmask 24\ncreate n hash:net\nadd n 172.16.0.0/24\nadd n 10.0.0.0/24 nomatch\ncreate p hash:ip,port\nadd p 10.0.0.2,udp:53\n";

/** What sets say of a packet from 10.0.0.1:5000 to 10.0.0.2:53 after a rule has seen it. */
function outcome(rule: string, packet = udpPacket(pool)) {
  const sets = parseSets(SETS, "sets");
  expect(targetOf(`-j SET ${rule}`).apply(packet, contextOf("input", { sets }))).toBe("CONTINUE");
  return (name: string, directions: number): boolean => sets.get(name)!.test(udpPacket(pool), directions);
}

describe("the target SET", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      "-j SET --add-set s src,dst",
      ["-j SET --del-set s dst --add-set s src --exist", "-j SET --add-set s src --exist --del-set s dst"],
      "-j SET --del-set p dst,dst",
    ]);
  });

  it("adds and takes away addresses", () => {
    expect(outcome("--add-set s src")("s", 1)).toBe(true);
    expect(outcome("--add-set s src")("s", 0)).toBe(false);
    expect(outcome("--add-set w dst")("w", 1)).toBe(true);
    expect(outcome("--add-set s src --del-set s src")("s", 1)).toBe(false);
  });

  it("adds networks of the longest prefix that is there, and changes them only with --exist", () => {
    expect(outcome("--add-set n src")("n", 1)).toBe(false);
    expect(outcome("--add-set n src --exist")("n", 0)).toBe(true);
    expect(outcome("--del-set n src")("n", 1)).toBe(false);
  });

  it("adds and takes away addresses with ports", () => {
    expect(outcome("--add-set p src,src")("p", 3)).toBe(true);
    expect(outcome("--del-set p dst,dst")("p", 0)).toBe(false);
    expect(outcome("--add-set p src,src", rawPacket(pool, 17, [1, 2]))("p", 3)).toBe(false);
  });

  it("does nothing to a set that is not there or has more dimensions", () => {
    expect(outcome("--add-set nosuch src")("s", 1)).toBe(false);
    expect(outcome("--add-set p src")("p", 3)).toBe(false);
  });

  it("refuses what iptables refuses and what is not modelled", () => {
    expect(refusal("-j SET")).toBe('4 "SET" | -j SET with --add-set or --del-set');
    expect(refusal("-j SET --add-set s foo")).toMatch(/^20 "foo" \| src or dst/);
    expect(refusal("-j SET --add-set s src --timeout 5")).toMatch(/^24 "--timeout" \| .*does not model this one yet$/);
    expect(refusal("-j SET --map-set s src --map-mark")).toMatch(/^8 "--map-set" \| .*does not model this one yet$/);
  });
});

import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, flow, pool, refusal, targetOf } from "../one-rule.ts";

const RAW = { table: "raw", chain: "PREROUTING" } as const;

describe("the targets CT and NOTRACK", () => {
  it("are printed as the kernel's tools print them", () => {
    expectCanonical(
      [
        ["-j CT --notrack --zone 0", "-j CT --notrack"],
        ["-j CT --zone 0", "-j CT"],
        "-j CT --zone-orig mark",
        "-j CT --ctevents new,destroy --zone 9",
        "-j CT --expevents new",
        "-p tcp -j CT --helper ftp",
        "-j NOTRACK",
      ],
      RAW,
    );
  });

  it.each(["-j CT --notrack", "-j NOTRACK"])("keep a packet from being tracked: %s", (rule) => {
    const packet = udpPacket(pool);
    expect(targetOf(rule, RAW).apply(packet, contextOf("prerouting"))).toBe("CONTINUE");
    expect(packet.connectionState).toBe("UNTRACKED");
    expect(packet.connection).toBeNull();
  });

  it("leave a packet alone that is tracked already, as one over loopback is", () => {
    const packet = udpPacket(pool);
    packet.connection = flow();
    packet.connectionState = "NEW";
    targetOf("-j CT --notrack", RAW).apply(packet, contextOf("prerouting"));
    expect(packet.connectionState).toBe("NEW");
  });

  it.each([
    ["-j CT", { id: 0, directions: 3, fromMark: false }],
    ["-j CT --zone 5", { id: 5, directions: 3, fromMark: false }],
    ["-j CT --zone mark", { id: 0, directions: 3, fromMark: true }],
    ["-j CT --zone-orig 65535", { id: 65_535, directions: 1, fromMark: false }],
    ["-j CT --zone-reply 7", { id: 7, directions: 2, fromMark: false }],
  ])("give a packet the pattern for its flow: %s", (rule, zone) => {
    const packet = udpPacket(pool);
    expect(targetOf(rule, RAW).apply(packet, contextOf("prerouting"))).toBe("CONTINUE");
    expect(packet.connection).toMatchObject({ template: true, zone });
    expect(packet.connectionState).toBe("NEW");
  });

  it("say which events of a flow are told: bits of enum ip_conntrack_events", () => {
    const packet = udpPacket(pool);
    targetOf("-j CT --ctevents destroy,new,mark", RAW).apply(packet, contextOf("prerouting"));
    expect(packet.connection).toMatchObject({ events: (1 << 0) | (1 << 2) | (1 << 7) });
  });

  it("refuse what iptables refuses", () => {
    expect(refusal("-j CT --zone 65536", RAW)).toBe('14 "65536" | a zone (0-65535, or mark)');
    expect(refusal("-j CT --helper ftp", RAW)).toBe('4 "CT" | -p in a rule with CT --helper');
    expect(refusal("-p tcp -j CT --helper none", RAW)).toMatch(/^23 "none" \| a helper /);
    // Linux 6.18, iptables 1.8.9: RULE_APPEND failed (No such file or directory): rule in chain PREROUTING
    expect(refusal("-j CT --timeout long", RAW)).toMatch(/^17 "long" \| a timeout policy that nfct has made/);
    expect(refusal("-j CT --notrack", { table: "mangle", chain: "PREROUTING" })).toBe('4 "CT" | CT only in table raw');
  });
});

import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, flow, pool, refusal, targetOf } from "../one-rule.ts";

const RAW = { table: "raw", chain: "PREROUTING" } as const;

describe("the targets CT and NOTRACK", () => {
  it("are printed as the kernel's tools print them", () => {
    expectCanonical([["-j CT --notrack --zone 0", "-j CT --notrack"], ["-j CT --zone 0", "-j CT"], "-j NOTRACK"], RAW);
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

  it("do nothing without --notrack", () => {
    const packet = udpPacket(pool);
    targetOf("-j CT", RAW).apply(packet, contextOf("prerouting"));
    expect(packet.connectionState).toBe("NONE");
  });

  it("refuse what iptables refuses and what is not modelled", () => {
    expect(refusal("-j CT --zone 5", RAW)).toBe('14 "5" | zone 0; hopscope does not model other conntrack zones yet');
    expect(refusal("-j CT --helper ftp", RAW)).toMatch(/^7 "--helper" \| .*does not model this one yet$/);
    expect(refusal("-j CT --notrack", { table: "mangle", chain: "PREROUTING" })).toBe('4 "CT" | CT only in table raw');
  });
});

import { describe, expect, it } from "vitest";
import { udpPacket } from "../../frames.ts";
import { contextOf, expectCanonical, matchOf, parseOne, pool, refusal, targetOf } from "./one-rule.ts";

const noticesOf = (rule: string) => parseOne(rule).notices.map(({ text, place }) => `${place.line}: ${text}`);

describe("what iptables knows and hopscope does not do", () => {
  it("is printed as it was given", () => {
    expectCanonical([
      "-m cgroup ! --cgroup 1",
      '-m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"',
      ["-m devgroup ! --dst-group 0x2 --src-group 0x1/0x1", "-m devgroup --src-group 0x1/0x1 ! --dst-group 0x2"],
      "-j IDLETIMER --timeout 42 --label foo",
      ["-j NFQUEUE", "-j NFQUEUE --queue-num 0"],
      "-j NFQUEUE --queue-balance 0:6 --queue-bypass --queue-cpu-fanout",
    ]);
  });

  it("says so by name and line", () => {
    expect(noticesOf("-m cgroup --cgroup 1 -j AUDIT --type drop")).toEqual([
      "4: -m cgroup: the rule never matches",
      "4: -j AUDIT: it does nothing",
    ]);
    expect(noticesOf("-m comment --comment x -j ACCEPT")).toEqual([]);
  });

  it("never matches, inverted or not; targets do nothing, but a queue that nobody reads drops", () => {
    const packet = udpPacket(pool);
    for (const rule of ["-m cgroup --cgroup 1", "-m cgroup ! --cgroup 1"])
      expect(matchOf(rule).matches(packet, contextOf())).toBe(false);
    const verdict = (rule: string) => targetOf(rule).apply(packet, contextOf());
    expect(verdict("-j AUDIT --type accept")).toBe("CONTINUE");
    expect(verdict("-j NFQUEUE")).toBe("DROP");
    expect(verdict("-j NFQUEUE --queue-bypass")).toBe("ACCEPT");
  });

  it("refuses options that iptables does not know", () => {
    expect(refusal("-m cgroup")).toBe('4 "cgroup" | -m cgroup with an option');
    expect(refusal("-j AUDIT --kind accept")).toMatch(/^10 "--kind"/);
  });
});

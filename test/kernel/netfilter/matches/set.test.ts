import { describe, expect, it } from "vitest";
import { parseSets } from "../../../../src/kernel/netfilter/ipset-text.ts";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, matchOf, pool, refusal } from "../one-rule.ts";

const sets = parseSets(
  "create web hash:ip\nadd web 10.0.0.1\ncreate dns hash:ip,port\nadd dns 10.0.0.2,udp:53\n",
  "sets",
);

const matches = (options: string): boolean =>
  matchOf(`-m set ${options}`).matches(udpPacket(pool), contextOf("input", { sets }));

describe("the match set", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m set --set ips src", "-m set --match-set ips src"],
      "-m set ! --match-set ipp dst,src",
      "-m set --match-set ips src,dst,src -j DROP",
    ]);
  });

  it("asks the set of that name for the addresses and ports of each direction", () => {
    expect(matches("--match-set web src")).toBe(true);
    expect(matches("--match-set web dst")).toBe(false);
    expect(matches("! --match-set web dst")).toBe(true);
    expect(matches("--match-set dns dst,dst")).toBe(true);
    expect(matches("--match-set dns dst,src")).toBe(false);
  });

  it("does not match with fewer directions than the set has dimensions, nor a set that is not there", () => {
    expect(matches("--match-set dns dst")).toBe(false);
    expect(matches("--match-set nosuch src")).toBe(false);
  });

  it("refuses what iptables refuses and what is not modelled", () => {
    expect(refusal("-m set --match-set foo")).toBe("23 the end of the line | a second value for --match-set");
    expect(refusal("-m set --match-set foo src,bar")).toBe('28 "bar" | src or dst, at most six, parted by commas');
    expect(refusal("-m set --match-set foo src --return-nomatch")).toBe(
      '28 "--return-nomatch" | an option of set that hopscope models; it does not model this one yet',
    );
  });
});

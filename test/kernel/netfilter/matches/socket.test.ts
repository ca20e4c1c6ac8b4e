import { describe, expect, it } from "vitest";
import { CLIENT, fromClient, runRouter, SERVER, table, toServer } from "../../facts/router.ts";
import { expectCanonical, refusal } from "../one-rule.ts";

describe("the match socket", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      [
        "-m socket --nowildcard --restore-skmark --transparent",
        "-m socket --transparent --nowildcard --restore-skmark",
      ],
      "-m socket",
      "-m socket --nowildcard",
    ]);
  });

  // What sockets it finds stands in the cases sockets-of-rules, sockets-behind-nat and transparent-sockets, held against the kernel.
  it("has fragments gathered without conntrack", () => {
    const slice = (from: number, to: number, mf: boolean) =>
      fromClient({
        ip: { src: CLIENT, dst: SERVER, id: 9, mf, off: from, slice: [from, to] },
        udp: { sport: 1, dport: 2, size: 24 },
      });
    const crossed = (rules: string) =>
      runRouter([slice(0, 16, true), slice(16, 32, false)], { rules }).steps.map((step) => toServer(step).length);
    expect(crossed(table("mangle", "-A PREROUTING -m socket"))).toEqual([0, 2]);
    expect(crossed(table("mangle", "-A PREROUTING -p udp -j MARK --set-mark 1"))).toEqual([1, 1]);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m socket --transparent", { chain: "FORWARD" })).toMatch(
      / \| socket only in chains that are reached from PREROUTING, INPUT$/,
    );
  });
});

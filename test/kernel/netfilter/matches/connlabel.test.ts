import { describe, expect, it } from "vitest";
import { udpPacket } from "../../../frames.ts";
import { CLIENT, fromClient, hits, runRouter, SERVER, table, udp } from "../../facts/router.ts";
import { contextOf, expectCanonical, flow, matchOf, pool, refusal } from "../one-rule.ts";

describe("the match connlabel", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m connlabel --label 40", '-m connlabel --label "40"'],
      ["-m connlabel --set ! --label 0x10", '-m connlabel ! --label "16" --set'],
    ]);
  });

  it("sets a label and finds it", () => {
    const packet = udpPacket(pool);
    const connection = flow();
    packet.connection = connection;
    const asks = (rule: string) => matchOf(`-m connlabel ${rule}`).matches(packet, contextOf());
    expect([asks("--label 127 --set"), asks("! --label 127")]).toEqual([false, true]);
    connection.labels = new Uint32Array(4);
    expect([asks("--label 127"), asks("--label 127 --set"), asks("--label 127")]).toEqual([false, true, true]);
    expect([asks("! --label 127"), asks("! --label 126"), asks("! --label 126 --set")]).toEqual([false, true, false]);
  });

  it("turns connection tracking on; flows from before have no labels", () => {
    const packet = fromClient(udp(`${CLIENT}:5000`, `${SERVER}:53`));
    const labelled = table("filter", "-A FORWARD -m connlabel --label 5 --set", "-A FORWARD -m connlabel --label 5");
    expect(hits(runRouter([packet], { rules: labelled }), "FORWARD", 2)).toBe(1);
    const late = [packet, { op: "rules", ns: "router", text: labelled }, packet];
    const rules = table("filter", "-A FORWARD -m conntrack --ctstate NEW");
    expect(hits(runRouter(late, { rules }), "FORWARD", 1)).toBe(0);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m connlabel --set")).toBe('4 "connlabel" | -m connlabel with --label');
    expect(refusal("-m connlabel --label 128")).toBe('22 "128" | a label (0-127)');
    expect(refusal("-m connlabel --label eth0-in")).toBe('22 "eth0-in" | a label (0-127)');
  });
});

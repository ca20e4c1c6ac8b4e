import { describe, expect, it } from "vitest";
import { parseIpv4 } from "../../../../src/wire/address.ts";
import { udpPacket } from "../../../frames.ts";
import { contextOf, expectCanonical, flow, matchOf, pool, refusal } from "../one-rule.ts";

const SEED = "--cluster-hash-seed 0xfeedcafe";

describe("the match cluster", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      [
        `-m cluster --cluster-total-nodes 2 --cluster-local-node 2 ${SEED}`,
        `-m cluster --cluster-local-nodemask 0x00000002 --cluster-total-nodes 2 ${SEED}`,
      ],
      [
        "-m cluster --cluster-total-nodes 3 ! --cluster-local-nodemask 5 --cluster-hash-seed 5",
        "-m cluster ! --cluster-local-nodemask 0x00000005 --cluster-total-nodes 3 --cluster-hash-seed 0x00000005",
      ],
    ]);
  });

  it("gives each flow to one node, by its first source", () => {
    const packet = udpPacket(pool);
    const connection = flow();
    packet.connection = connection;
    const nodes = [1, 2, 3].map((node) =>
      matchOf(`-m cluster --cluster-total-nodes 3 --cluster-local-node ${node} ${SEED}`),
    );
    const counts = [0, 0, 0];
    for (let i = 1; i <= 300; i++) {
      connection.original.source = parseIpv4("10.0.0.0") + i;
      const hits = nodes.map((match) => match.matches(packet, contextOf()));
      expect(hits.filter(Boolean)).toHaveLength(1);
      counts[hits.indexOf(true)]!++;
    }
    for (const count of counts) expect(count).toBeGreaterThan(70);
  });

  it("answers no where there is no flow, and takes what comes under a multicast MAC address as for this host", () => {
    const packet = udpPacket(pool);
    packet.type = "multicast";
    const match = matchOf(`-m cluster --cluster-total-nodes 2 ! --cluster-local-node 1 ${SEED}`);
    expect(match.matches(packet, contextOf())).toBe(false);
    expect(packet.type).toBe("host");
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m cluster --cluster-total-nodes 3")).toMatch(
      /^4 "cluster" \| -m cluster with --cluster-local-node/,
    );
    expect(refusal(`-m cluster --cluster-total-nodes 2 --cluster-local-node 3 ${SEED}`)).toMatch(
      /"3" \| a node \(1-2\)/,
    );
    expect(refusal(`-m cluster --cluster-total-nodes 2 --cluster-local-nodemask 4 ${SEED}`)).toMatch(
      /"4" \| a mask of 2/,
    );
  });
});

import { NETWORK, type Packet } from "../../../packet/packet.ts";
import * as ipv4 from "../../../wire/ipv4.ts";
import type { Connection } from "../../conntrack/connection.ts";
import { hashWord, networkOrder, scale } from "../../jhash.ts";
import type { MatchKind, Options } from "../extension.ts";
import type { Match } from "../rule.ts";
import { unexpected } from "../tokenizer.ts";
import { printOption, readInteger } from "../value.ts";

const MOST_NODES = 32;
const U32 = 0xffffffff;
const long = (value: number): string => `0x${(value >>> 0).toString(16).padStart(8, "0")}`;

/** `xt_cluster_mt()`: is the flow, by a hash of its first source, one for a node of the mask? */
class ClusterMatch implements Match {
  readonly name = "cluster";

  constructor(
    private readonly nodes: number,
    private readonly mask: number,
    private readonly seed: number,
    private readonly not: boolean,
  ) {}

  matches(packet: Packet): boolean {
    // A cluster answers under a multicast MAC address: what is for one host is to be taken as such.
    if (packet.type === "multicast" && ipv4.destination(packet.view, NETWORK) >>> 28 !== 14) packet.type = "host";
    const connection = packet.connection as Connection | null;
    if (connection === null || connection.template) return false;
    const { source } = (connection.master ?? connection).original;
    const node = scale(hashWord(networkOrder(source), this.seed), this.nodes);
    return ((this.mask >>> node) & 1) === (this.not ? 0 : 1);
  }

  print(): string {
    const words = [printOption("cluster-local-nodemask", long(this.mask), this.not)];
    return [...words, `--cluster-total-nodes ${this.nodes}`, `--cluster-hash-seed ${long(this.seed)}`].join(" ");
  }
}

const MISSING = "cluster match: `--cluster-local-node' or`--cluster-local-nodemask' is missing";

function readNodes(options: Options, nodes: number): { mask: number; not: boolean } {
  const node = options.get("cluster-local-node");
  const given = node ?? options.get("cluster-local-nodemask")!;
  const token = given.values[0]!;
  if (node !== null) {
    const number = readInteger(token, 1, MOST_NODES, "a node");
    if (number > nodes)
      throw unexpected(
        token,
        `a node (1-${nodes})`,
        "cluster match: `--cluster-local-node' must be <= `--cluster-total-nodes'",
      );
    return { mask: 1 << (number - 1), not: given.not };
  }
  // iptables 1.8.9 takes no mask above 32, as if it were a node.
  const mask = readInteger(token, 1, MOST_NODES, "a mask of nodes");
  if (mask >= 2 ** nodes)
    throw unexpected(
      token,
      `a mask of ${nodes} nodes`,
      "cluster match: `--cluster-local-nodemask' too big for `--cluster-total-nodes'",
    );
  return { mask: mask | 0, not: given.not };
}

export const clusterKind: MatchKind = {
  name: "cluster",
  options: [
    { name: "cluster-total-nodes" },
    { name: "cluster-local-node", not: true, excludes: ["cluster-local-nodemask"] },
    { name: "cluster-local-nodemask", not: true },
    { name: "cluster-hash-seed" },
  ],
  parse(options) {
    if (!options.has("cluster-local-node") && !options.has("cluster-local-nodemask"))
      throw options.lacks("--cluster-local-node or --cluster-local-nodemask", MISSING);
    const nodes = readInteger(options.need("cluster-total-nodes").values[0]!, 1, MOST_NODES, "a count of nodes");
    const seed = readInteger(options.need("cluster-hash-seed").values[0]!, 0, U32, "a seed");
    const { mask, not } = readNodes(options, nodes);
    return new ClusterMatch(nodes, mask, seed | 0, not);
  },
};

import type { LabCase } from "../src/scenario/lab-case.ts";
import { frameBytes } from "../src/scenario/lab-packet.ts";
import { buildLab } from "../src/scenario/lab-world.ts";
import type { World } from "../src/world/world.ts";

/** A packet path to measure: where frames enter, and the network that they cross. */
export interface Path {
  readonly name: string;
  readonly lab: LabCase;
  readonly destinationMac: string;
  readonly traced: boolean;
}

const BRIDGE_MAC = "02:00:00:00:aa:01";
const CLIENT_MAC = "02:00:00:00:cc:01";
const FAR_MAC = "02:00:00:00:cc:99";

/** Docker 27's rules for docker0 (here br0) and one published port. */
const DOCKER_CLASSIC = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br0 -j DOCKER
-A FORWARD -i br0 ! -o br0 -j ACCEPT
-A FORWARD -i br0 -o br0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i br0 -o br0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i br0 ! -o br0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o br0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o br0 -j MASQUERADE
-A DOCKER -i br0 -j RETURN
-A DOCKER ! -i br0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
`;

function network(rules: string, bridgeCall: number): LabCase {
  return {
    namespaces: {
      c1: { devs: { eth0: { mac: CLIENT_MAC } }, addrs: [["eth0", "172.17.0.2/16"]] },
      c2: { devs: { eth0: { mac: "02:00:00:00:cc:02" } } },
      host: {
        sysctls: {
          "net.ipv4.ip_forward": 1,
          "net.bridge.bridge-nf-call-iptables": bridgeCall,
          "net.ipv4.conf.all.send_redirects": 0,
          "net.netfilter.nf_conntrack_acct": 0,
        },
        devs: { br0: { type: "bridge", mac: BRIDGE_MAC }, v1: { master: "br0" }, v2: { master: "br0" }, up0: {} },
        addrs: [
          ["br0", "172.17.0.1/16"],
          ["up0", "10.0.0.2/24"],
        ],
        routes: ["default via 10.0.0.1 dev up0"],
        neigh: [["up0", "10.0.0.1", "02:00:00:00:99:99"]],
        fdb: [["v2", FAR_MAC]],
        rules,
      },
      sink: {},
    },
    veths: [
      ["host/v1", "c1/eth0"],
      ["host/v2", "c2/eth0"],
      ["host/up0", "sink/eth0"],
    ],
  };
}

export const PATHS: readonly Path[] = [
  { name: "bridge only", lab: network("", 0), destinationMac: FAR_MAC, traced: false },
  { name: "routed forward", lab: network("", 0), destinationMac: BRIDGE_MAC, traced: false },
  {
    name: "forward, Docker rules, MASQUERADE",
    lab: network(DOCKER_CLASSIC, 1),
    destinationMac: BRIDGE_MAC,
    traced: false,
  },
  { name: "the same, traced", lab: network(DOCKER_CLASSIC, 1), destinationMac: BRIDGE_MAC, traced: true },
];

/** 60-byte UDP frames to `flows` destinations, 198.18.0.0 onwards, in turn. */
export class Traffic {
  private readonly frames: readonly Uint8Array[];
  private next = 0;
  readonly world: World;
  private readonly entry;

  constructor(path: Path, flows: number) {
    this.world = buildLab(path.lab);
    if (path.traced) this.world.fabric.record();
    this.entry = this.world.device("c1", "eth0");
    this.frames = Array.from({ length: flows }, (_, flow) =>
      frameBytes({
        eth: { src: CLIENT_MAC, dst: path.destinationMac },
        ip: { src: "172.17.0.2", dst: `198.${18 + (flow >> 16)}.${(flow >> 8) & 255}.${flow & 255}` },
        udp: { sport: 40_000, dport: 9, size: 18 },
      }),
    );
  }

  /** Sends `packets` frames and lets each run to its end. */
  run(packets: number): void {
    const { fabric } = this.world;
    const { entry, frames } = this;
    const { trace } = fabric;
    for (let i = 0; i < packets; i++) {
      entry.inject(frames[this.next]!);
      if (++this.next === frames.length) this.next = 0;
      if (trace !== null && trace.length > 60_000) trace.clear();
    }
  }

  /** Frames that reached the far end. */
  get delivered(): number {
    return this.world.device("sink", "eth0").counters.rxPackets + this.world.device("c2", "eth0").counters.rxPackets;
  }
}

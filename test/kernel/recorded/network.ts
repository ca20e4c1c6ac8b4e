import type { LabCase } from "../../../src/scenario/lab-case.ts";

/** What differs from run to run: names, addresses and rules that Docker and the kernel gave. */
export interface RecordedHost {
  /** The host's ends of the cables to c1 and c2. */
  readonly c1: string;
  readonly c2: string;
  readonly docker0?: string;
  readonly eth0?: string;
  readonly gateway?: string;
  readonly bridgeCallsIptables: boolean;
  readonly rules: string;
}

/** Docker's address for a container, 02:42 and its IPv4 address. */
const containerMac = (network: 17 | 18, host: number): string => `02:42:ac:${network === 17 ? "11" : "12"}:00:0${host}`;

const container = (network: 17 | 18, host: number) => ({
  devs: { eth0: { mac: containerMac(network, host) } },
  addrs: [["eth0", `172.${network}.0.${host}/16`]] as [string, string][],
  routes: [`default via 172.${network}.0.1 dev eth0`],
});

const mac = (address: string | undefined) => (address === undefined ? {} : { mac: address });

/** inet -- gw -- switch -- host (two bridges, four containers) and lan, as the recordings had it. */
export function recordedNetwork(host: RecordedHost): LabCase {
  return {
    namespaces: {
      c1: container(17, 2),
      c2: container(17, 3),
      web: container(18, 2),
      db: container(18, 3),
      host: {
        sysctls: {
          "net.ipv4.ip_forward": 1,
          "net.bridge.bridge-nf-call-iptables": host.bridgeCallsIptables ? 1 : 0,
        },
        devs: {
          docker0: { type: "bridge", ...mac(host.docker0) },
          "br-app": { type: "bridge" },
          [host.c1]: { master: "docker0" },
          [host.c2]: { master: "docker0" },
          vethweb: { master: "br-app" },
          vethdb: { master: "br-app" },
          eth0: { ...mac(host.eth0) },
        },
        addrs: [
          ["docker0", "172.17.0.1/16"],
          ["br-app", "172.18.0.1/16"],
          ["eth0", "192.168.65.3/24"],
        ],
        routes: ["default via 192.168.65.1 dev eth0"],
        rules: host.rules,
      },
      switch: {
        devs: { sw0: { type: "bridge" }, p1: { master: "sw0" }, p2: { master: "sw0" }, p3: { master: "sw0" } },
      },
      lan: { addrs: [["eth0", "192.168.65.50/24"]], routes: ["default via 192.168.65.1 dev eth0"] },
      gw: {
        sysctls: { "net.ipv4.ip_forward": 1 },
        devs: { eth0: { ...mac(host.gateway) } },
        addrs: [
          ["eth0", "192.168.65.1/24"],
          ["wan0", "203.0.113.1/24"],
        ],
        rules: "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o wan0 -j MASQUERADE\nCOMMIT\n",
      },
      inet: { addrs: [["eth0", "203.0.113.10/24"]], routes: ["default via 203.0.113.1 dev eth0"] },
    },
    veths: [
      [`host/${host.c1}`, "c1/eth0"],
      [`host/${host.c2}`, "c2/eth0"],
      ["host/vethweb", "web/eth0"],
      ["host/vethdb", "db/eth0"],
      ["host/eth0", "switch/p1"],
      ["gw/eth0", "switch/p2"],
      ["lan/eth0", "switch/p3"],
      ["gw/wan0", "inet/eth0"],
    ],
  };
}

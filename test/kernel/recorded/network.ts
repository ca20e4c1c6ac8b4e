import type { LabCase, LabDevice, LabNamespace } from "../../../src/scenario/lab-case.ts";
import { recording } from "./digest.ts";

/** A bridge network; its containers have the addresses .2, .3 and so on, in this order. */
interface Network {
  readonly mac?: string;
  readonly gateway: string;
  /** The host's ends of the cables to the containers. */
  readonly ports: Readonly<Record<string, string>>;
}

/** What differs between the hosts of the recordings: names, addresses and rules that Docker and the kernel gave. */
export interface RecordedHost {
  readonly bridges: Readonly<Record<string, Network>>;
  readonly eth0?: string;
  readonly gateway?: string;
  readonly lan?: string;
  readonly rules: string;
  readonly bridgeCallsIptables: boolean;
  /** As without the userland proxy: hairpin ports, and 127.0.0.0/8 may be routed to the bridge. */
  readonly hairpin?: boolean;
  /** What Docker put into the containers' own namespaces. */
  readonly containerRules?: Readonly<Record<string, string>>;
  /** Of the cable between the gateway and the internet. */
  readonly wanMtu?: number;
}

const classic = recording("classic-s1.rules");
/** The recordings of Docker 29 had the base chains of mangle; `modern-29.rules` was saved without them. */
const modern = `${recording("modern-29.rules")}${table(classic, "mangle")}`;

function table(rules: string, name: string): string {
  return rules.slice(rules.indexOf(`*${name}\n`), rules.indexOf("COMMIT\n", rules.indexOf(`*${name}\n`)) + 7);
}

/** The networks of s1 and s2; a port that no run shows has a name of ours. */
const bridges = (docker0: string | undefined, c1: string, c2: string, app: Partial<Network> = {}) => ({
  docker0: { ...mac(docker0), gateway: "172.17.0.1", ports: { c1, c2 } },
  "br-app": { gateway: "172.18.0.1", ports: { web: "vethweb", db: "vethdb" }, ...app },
});

const first = bridges("02:42:06:52:44:7c", "vethe0bd7c5", "veth8b016f4", {
  mac: "02:42:ad:7b:6d:29",
  ports: { web: "vethf8bed0c", db: "vethdb" },
});
const nics = (eth0: string, gateway: string, lan: string) => ({ eth0, gateway, lan });
const firstNics = nics("06:63:67:71:6c:81", "32:15:9b:d2:d7:79", "62:f5:f3:40:2d:7e");
const third = {
  bridges: bridges("02:42:27:5e:ae:ad", "veth112f848", "vethcd51312"),
  ...nics("06:4e:be:af:27:2e", "46:97:55:b2:7f:7f", "c2:8f:7c:a3:a1:4f"),
  bridgeCallsIptables: true,
};
const withoutProxy = {
  bridges: bridges("02:42:08:04:e1:93", "veth6db8c06", "veth5fb7087"),
  rules: recording("classic-s2.rules"),
  hairpin: true,
};

const containerRules = { db: recording("classic-s1-db.rules") };

/** The hosts of the recordings, each with the runs that it was recorded in. */
export const HOSTS = {
  /** s1 under Docker 23: t03 to t16. */
  classic: { bridges: first, ...firstNics, rules: classic, bridgeCallsIptables: true },
  /** The same, seen from inside db: t17. */
  insideDb: {
    bridges: first,
    rules: classic,
    bridgeCallsIptables: true,
    containerRules,
  },
  /** The same before anything had made the base chains of mangle: t02. */
  withoutMangle: {
    bridges: first,
    ...firstNics,
    rules: classic.replace(table(classic, "mangle"), ""),
    bridgeCallsIptables: true,
  },
  /** s1 again: t17c. */
  resolving: {
    bridges: bridges(undefined, "vethc1", "vethc2", {
      mac: "02:42:53:61:a0:5a",
      ports: { web: "vethweb", db: "veth5cedefd" },
    }),
    eth0: "f2:4f:e3:4e:d3:6b",
    gateway: "8e:53:1f:bf:70:63",
    rules: classic,
    bridgeCallsIptables: true,
    containerRules,
  },
  /** s2, the userland proxy off: t20 to t22. */
  withoutProxy: { ...withoutProxy, bridgeCallsIptables: true },
  /** s2 with bridge-nf-call-iptables 0: t24, t26. */
  withoutProxyAndFilter: { ...withoutProxy, bridgeCallsIptables: false },
  /** s1 again: t27. */
  third: { ...third, rules: classic },
  /** s1, with an MTU of 1400 on the way: t28. */
  narrow: { ...third, rules: classic, wanMtu: 1400 },
  /** s1 again: t34, t35. Its nat table did not say `-i docker0 -j RETURN`; the rules of s2 stand in for it. */
  last: {
    bridges: bridges("02:42:49:24:1b:47", "veth2ed8a7e", "veth72d1965"),
    rules: recording("classic-s2.rules"),
    bridgeCallsIptables: true,
  },
  /** g5, two internal networks: t31. */
  internal: {
    bridges: {
      bridgeICC: { mac: "02:42:cc:55:ff:ec", gateway: "192.0.2.1", ports: { c1: "vethd005d60" } },
      bridgeNoICC: { gateway: "198.51.100.1", ports: { c2: "vethc2" } },
      docker0: { gateway: "172.17.0.1", ports: {} },
    },
    rules: recording("classic-g5.rules"),
    bridgeCallsIptables: true,
  },
  /** s6, icc=false: t32. */
  noIcc: {
    bridges: { docker0: { gateway: "172.17.0.1", ports: { c1: "vethc1", c2: "veth63b7159" } } },
    rules: recording("classic-s6.rules"),
    bridgeCallsIptables: true,
  },
  /** s7, Traefik between its two networks: t36. */
  traefik: {
    bridges: {
      "br-proxy": { gateway: "172.18.0.1", ports: { traefik: "veth127b4aa", app: "veth33fa324" } },
      "br-dockerproxy": {
        gateway: "172.19.0.1",
        ports: { traefik: "veth66ffde8", "docker-socket-proxy": "veth4371d4f" },
      },
      "br-app": { gateway: "172.20.0.1", ports: { app: "vethapp" } },
    },
    rules: recording("classic-s7.rules"),
    bridgeCallsIptables: true,
  },
  /** s1 under the rules of Docker 29: t30 and m*. */
  modern: { ...third, rules: modern },
  /** The same with bridge-nf-call-iptables 0: n*. */
  modernUnfiltered: {
    bridges: bridges("02:42:d1:ff:16:e2", "vetha715534", "vethc38bb28"),
    ...nics("56:e9:3e:b8:37:ae", "86:e7:be:3a:f8:28", "3e:01:a2:34:24:56"),
    rules: modern,
    bridgeCallsIptables: false,
  },
} satisfies Record<string, RecordedHost>;

function mac(address: string | undefined) {
  return address === undefined ? {} : { mac: address };
}

export interface Attachment {
  readonly container: string;
  readonly bridge: string;
  readonly gateway: string;
  readonly address: string;
  readonly port: string;
  /** Of the container. */
  readonly device: string;
}

/** Every container in every network that it has, its first network first. */
export function attachments({ bridges }: Pick<RecordedHost, "bridges">): Attachment[] {
  const devices = new Map<string, number>();
  return Object.entries(bridges).flatMap(([bridge, { gateway, ports }]) =>
    Object.entries(ports).map(([container, port], index) => {
      const count = devices.get(container) ?? 0;
      devices.set(container, count + 1);
      const address = gateway.replace(/\d+$/, String(index + 2));
      return { container, bridge, gateway, address, port, device: `eth${count}` };
    }),
  );
}

/** Docker's address for a container, 02:42 and its IPv4 address. */
const containerMac = (address: string): string =>
  `02:42:${address
    .split(".")
    .map((byte) => Number(byte).toString(16).padStart(2, "0"))
    .join(":")}`;

function containers(host: RecordedHost): Record<string, LabNamespace> {
  const spaces: Record<string, Required<Pick<LabNamespace, "devs" | "addrs" | "routes" | "rules">>> = {};
  for (const { container, gateway, address, device } of attachments(host)) {
    spaces[container] ??= {
      devs: {},
      addrs: [],
      routes: [`default via ${gateway} dev ${device}`],
      rules: host.containerRules?.[container] ?? "",
    };
    spaces[container].devs[device] = { mac: containerMac(address) };
    spaces[container].addrs.push([device, `${address}/${prefix(gateway)}`]);
  }
  return spaces;
}

const prefix = (gateway: string): number => (gateway.startsWith("172.") ? 16 : 24);

/** inet -- gw -- switch -- host (its bridges and containers) and lan, as the recordings had it. */
export function recordedNetwork(host: RecordedHost): LabCase {
  const { bridges, rules, hairpin = false, wanMtu = 1500 } = host;
  const ports = attachments(host);
  const devs: Record<string, LabDevice> = { eth0: { ...mac(host.eth0) } };
  for (const [name, network] of Object.entries(bridges)) devs[name] = { type: "bridge", ...mac(network.mac) };
  for (const { port, bridge } of ports) devs[port] = { master: bridge, hairpin };
  return {
    namespaces: {
      ...containers(host),
      host: {
        sysctls: {
          "net.ipv4.ip_forward": 1,
          "net.bridge.bridge-nf-call-iptables": host.bridgeCallsIptables ? 1 : 0,
          ...(hairpin ? { "net.ipv4.conf.docker0.route_localnet": 1 } : {}),
        },
        devs,
        addrs: [
          ...Object.entries(bridges).map(([name, { gateway }]): [string, string] => [
            name,
            `${gateway}/${prefix(gateway)}`,
          ]),
          ["eth0", "192.168.65.3/24"],
        ],
        routes: ["default via 192.168.65.1 dev eth0"],
        rules,
      },
      switch: {
        devs: { sw0: { type: "bridge" }, p1: { master: "sw0" }, p2: { master: "sw0" }, p3: { master: "sw0" } },
      },
      lan: {
        devs: { eth0: { ...mac(host.lan) } },
        addrs: [["eth0", "192.168.65.50/24"]],
        routes: [
          "default via 192.168.65.1 dev eth0",
          ...(Object.keys(bridges).includes("docker0") ? ["172.17.0.0/16 via 192.168.65.3"] : []),
        ],
      },
      gw: {
        sysctls: { "net.ipv4.ip_forward": 1 },
        devs: { eth0: { ...mac(host.gateway) }, wan0: { mtu: wanMtu } },
        addrs: [
          ["eth0", "192.168.65.1/24"],
          ["wan0", "203.0.113.1/24"],
        ],
        rules: "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o wan0 -j MASQUERADE\nCOMMIT\n",
      },
      inet: {
        devs: { eth0: { mtu: wanMtu } },
        addrs: [["eth0", "203.0.113.10/24"]],
        routes: ["default via 203.0.113.1 dev eth0"],
      },
    },
    veths: [
      ...ports.map(({ port, container, device }): [string, string] => [`host/${port}`, `${container}/${device}`]),
      ["host/eth0", "switch/p1"],
      ["gw/eth0", "switch/p2"],
      ["lan/eth0", "switch/p3"],
      ["gw/wan0", "inet/eth0"],
    ],
  };
}

import { formatIpv4, parseIpv4 } from "../../../src/wire/address.ts";
import { HOSTS, type RecordedHost } from "./network.ts";
import type { Protocol } from "./retell.ts";
import { INTERNET, type Stage } from "./stage.ts";

/** One recorded run: what was done, on which host. */
export interface Run {
  readonly name: string;
  /** What it shows, as a sentence. */
  readonly title: string;
  readonly host: RecordedHost;
  /** The one that the recorder traced through the hooks. */
  readonly protocol: Protocol;
  /** Where the recorder sat; the host where absent. */
  readonly namespace?: string;
  /** Ports that nobody named, which the kernel drew at random, are compared by their class; these are named. */
  readonly namedPorts?: readonly number[];
  readonly act: (stage: Stage) => void;
}

const pings = (name: string, title: string, host: RecordedHost, act: Run["act"]): Run => {
  return { name, title, host, protocol: "icmp", act };
};
const syns = (name: string, title: string, host: RecordedHost, act: Run["act"]): Run => {
  return { name, title, host, protocol: "tcp", act };
};

export const RUNS: readonly Run[] = [
  pings("t01", "a container pings the internet through MASQUERADE", HOSTS.classic, (stage) =>
    stage.ping("c1", INTERNET, 14_220),
  ),
  pings("m01", "the same under the rules of Docker 29", HOSTS.modern, (stage) => stage.ping("c1", INTERNET, 25_412)),
  pings("n01", "the same with bridge-nf-call-iptables 0", HOSTS.modernUnfiltered, (stage) =>
    stage.ping("c1", INTERNET, 1768),
  ),
  pings("t02", "a container pings its neighbour, and bridged frames pass the rules", HOSTS.withoutMangle, (stage) =>
    stage.ping("c1", "172.17.0.3", 13_361),
  ),
  pings("t26", "with bridge-nf-call-iptables 0 no hook sees that ping", HOSTS.withoutProxyAndFilter, (stage) =>
    stage.ping("c1", "172.17.0.3", 24_107),
  ),
  pings("n02", "nor does one under the rules of Docker 29", HOSTS.modernUnfiltered, (stage) =>
    stage.ping("c1", "172.17.0.3", 1830),
  ),
  {
    name: "t13",
    title: "three hops answer a traceroute by UDP",
    host: HOSTS.classic,
    protocol: "udp",
    act: (stage) => stage.traceroute("c1", INTERNET, [57_272, 34_239, 51_397]),
  },
  pings("t28", "a router wants fragments, and the container learns the MTU of the path", HOSTS.narrow, (stage) =>
    stage.ping("c1", INTERNET, 24_873, 1460),
  ),
  pings("t31", "an internal network does not reach the internet", HOSTS.internal, (stage) =>
    stage.ping("c1", INTERNET, 27_067),
  ),
  pings("t31b", "nor when a route is added by hand", HOSTS.internal, (stage) => stage.ping("c1", INTERNET, 27_129)),
  pings("t31d", "an internal network reaches its host", HOSTS.internal, (stage) =>
    stage.ping("c1", "192.168.65.3", 27_258),
  ),
  pings(
    "t35",
    "an unused address is asked for three times, and the sender itself says that it is unreachable",
    HOSTS.last,
    (stage) => {
      stage.ping("c1", "172.17.5.5", 35);
      stage.run(3500);
    },
  ),
  syns("t09", "a SYN from one bridge network to another ends in DOCKER-ISOLATION-STAGE-2", HOSTS.classic, (stage) =>
    stage.syn("c1", ["172.18.0.2", 80], { port: 50_104, sequence: 2_070_350_499 }),
  ),
  syns("m09", "it ends in the raw table of Docker 29", HOSTS.modern, (stage) =>
    stage.syn("c1", ["172.18.0.2", 80], { port: 55_302, sequence: 1_191_436_697 }),
  ),
  syns("n09", "and so with bridge-nf-call-iptables 0", HOSTS.modernUnfiltered, (stage) =>
    stage.syn("c1", ["172.18.0.2", 80], { port: 34_810, sequence: 4_154_454_363 }),
  ),
  syns(
    "t11b",
    "the LAN routes to a port that is not published, and meets the policy of FORWARD",
    HOSTS.classic,
    (stage) => stage.syn("lan", ["172.17.0.2", 7777], { port: 33_200, sequence: 3_340_223_147 }),
  ),
  syns("m11", "the LAN routes to a published port, and meets the raw table of Docker 29", HOSTS.modern, (stage) =>
    stage.syn("lan", ["172.17.0.2", 9000], { port: 38_550, sequence: 3_877_769_927 }),
  ),
  syns(
    "t14b",
    "a rule in INPUT stops a container on its way to docker-proxy",
    withRule(HOSTS.classic, "-A INPUT -p tcp -m tcp --dport 9000 -j DROP"),
    (stage) => stage.syn("c2", ["192.168.65.3", 9000], { port: 35_750, sequence: 1_923_447_264 }),
  ),
  syns("t32", "icc=false keeps two containers apart", HOSTS.noIcc, (stage) =>
    stage.syn("c2", ["172.17.0.2", 9000], { port: 57_598, sequence: 247_158_689 }),
  ),
  syns("t34", "a service on the host's loopback refuses containers", HOSTS.last, (stage) =>
    stage.syn("c1", ["172.17.0.1", 3333], { port: 39_040, sequence: 3_655_491_681 }),
  ),
  {
    name: "t17",
    title: "Docker's DNS server answers inside the container, through DNAT",
    host: HOSTS.insideDb,
    protocol: "udp",
    namespace: "db",
    act: (stage) => {
      stage.dnsServer("db", ["127.0.0.11", 39_029], { address: "172.18.0.2", ttl: 600, pointer: false });
      stage.dnsQuery("db", "web", "127.0.0.11", { port: 32_815, id: 16_841 });
    },
  },
  {
    name: "t17c",
    title: "a name that Docker does not know is asked of the host's DNS server, from the container",
    host: HOSTS.resolving,
    protocol: "udp",
    act: (stage) => {
      stage.dnsServer("gw", ["0.0.0.0", 53], { address: "198.51.100.7", ttl: 60, pointer: true });
      stage.dnsForwarder("db", ["127.0.0.11", 39_029], "192.168.65.1", 51_070);
      stage.dnsQuery("db", "api.example.com", "127.0.0.11", { port: 40_000, id: 21_733 });
    },
  },
  {
    name: "t30",
    title: "two containers send from the same source port, and MASQUERADE keeps each in its class of ports",
    host: HOSTS.modern,
    protocol: "udp",
    namedPorts: [45_678, 777, 300, 9999],
    act: collide,
  },
];

/** A host with one more rule, the first of its filter table. */
function withRule(host: RecordedHost, rule: string): RecordedHost {
  const first = "-A FORWARD -j DOCKER-USER\n";
  return { ...host, rules: host.rules.replace(first, `${rule}\n${first}`) };
}

/** The same source port of two containers, three times; the server says which port it saw. */
function collide(stage: Stage): void {
  const server = stage.world.host("inet").udp.open();
  server.bind(0, 9999);
  let peer = "";
  server.onReceive = ({ from }) => {
    peer = `server sees peer=${formatIpv4(from.address)}:${from.port}`;
    // As many bytes as the recorded server sent; the kernel's ports had as many digits as the client's.
    server.send(new Uint8Array(from.port > 1023 ? 35 : 33), from);
  };
  for (const port of [45_678, 777, 300])
    for (const [name, address] of [
      ["c1", "172.17.0.2"],
      ["c2", "172.17.0.3"],
    ] as const) {
      stage.said.push(`# ${name} sport ${port}`);
      const client = stage.world.host(name).udp.open();
      client.bind(0, port);
      client.connect(parseIpv4(INTERNET), 9999);
      client.onReceive = () => stage.said.push(`client local=${address}:${port} -> ${INTERNET} | reply: ${peer}`);
      client.send(new Uint8Array(2));
      stage.run(50);
    }
}

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

const traced =
  (protocol: Protocol) =>
  (name: string, title: string, host: RecordedHost, act: Run["act"]): Run => ({ name, title, host, protocol, act });
const icmp = traced("icmp");
const tcp = traced("tcp");
const udp = traced("udp");

const INPUT_DROP = "-A INPUT -p tcp -m tcp --dport 9000 -j DROP";
const USER_DROP = "-A DOCKER-USER -i eth0 -p tcp -m tcp --dport 8080 -j DROP";

export const RUNS: readonly Run[] = [
  icmp("t01", "a container pings the internet through MASQUERADE", HOSTS.classic, (stage) =>
    stage.ping("c1", INTERNET, 14_220),
  ),
  icmp("m01", "the same under the rules of Docker 29", HOSTS.modern, (stage) => stage.ping("c1", INTERNET, 25_412)),
  icmp("n01", "the same with bridge-nf-call-iptables 0", HOSTS.modernUnfiltered, (stage) =>
    stage.ping("c1", INTERNET, 1768),
  ),
  icmp("t02", "a container pings its neighbour, and bridged frames pass the rules", HOSTS.withoutMangle, (stage) =>
    stage.ping("c1", "172.17.0.3", 13_361),
  ),
  icmp("t26", "with bridge-nf-call-iptables 0 no hook sees that ping", HOSTS.withoutProxyAndFilter, (stage) =>
    stage.ping("c1", "172.17.0.3", 24_107),
  ),
  icmp("n02", "nor does one under the rules of Docker 29", HOSTS.modernUnfiltered, (stage) =>
    stage.ping("c1", "172.17.0.3", 1830),
  ),
  udp("t13", "three hops answer a traceroute by UDP", HOSTS.classic, (stage) =>
    stage.traceroute("c1", INTERNET, [57_272, 34_239, 51_397]),
  ),
  icmp("t28", "a router wants fragments, and the container learns the MTU of the path", HOSTS.narrow, (stage) =>
    stage.ping("c1", INTERNET, 24_873, 1460),
  ),
  icmp("t31", "an internal network does not reach the internet", HOSTS.internal, (stage) =>
    stage.ping("c1", INTERNET, 27_067),
  ),
  icmp("t31b", "nor when a route is added by hand", HOSTS.internal, (stage) => stage.ping("c1", INTERNET, 27_129)),
  icmp("t31d", "an internal network reaches its host", HOSTS.internal, (stage) =>
    stage.ping("c1", "192.168.65.3", 27_258),
  ),
  icmp(
    "t35",
    "an unused address is asked for three times, and the sender itself says that it is unreachable",
    HOSTS.last,
    (stage) => {
      stage.ping("c1", "172.17.5.5", 35);
      stage.run(3500);
    },
  ),
  tcp("t09", "a SYN from one bridge network to another ends in DOCKER-ISOLATION-STAGE-2", HOSTS.classic, (stage) =>
    stage.connect("c1", ["172.18.0.2", 80], 50_104),
  ),
  tcp("m09", "it ends in the raw table of Docker 29", HOSTS.modern, (stage) =>
    stage.connect("c1", ["172.18.0.2", 80], 55_302),
  ),
  tcp("n09", "and so with bridge-nf-call-iptables 0", HOSTS.modernUnfiltered, (stage) =>
    stage.connect("c1", ["172.18.0.2", 80], 34_810),
  ),
  tcp(
    "t11b",
    "the LAN routes to a port that is not published, and meets the policy of FORWARD",
    HOSTS.classic,
    (stage) => stage.connect("lan", ["172.17.0.2", 7777], 33_200),
  ),
  tcp("m11", "the LAN routes to a published port, and meets the raw table of Docker 29", HOSTS.modern, (stage) =>
    stage.connect("lan", ["172.17.0.2", 9000], 38_550),
  ),
  tcp(
    "t14b",
    "a rule in INPUT stops a container on its way to docker-proxy",
    withRule(HOSTS.classic, INPUT_DROP),
    (stage) => stage.connect("c2", ["192.168.65.3", 9000], 35_750),
  ),
  tcp(
    "t03",
    "a client on the LAN reaches a published port, and the container sees its address",
    HOSTS.withoutMangle,
    (stage) => {
      stage.serve("c1", 9000);
      stage.connect("lan", ["192.168.65.3", 9000], 33_974);
    },
  ),
  tcp("m03", "the same under the rules of Docker 29", HOSTS.modern, (stage) => {
    stage.serve("c1", 9000);
    stage.connect("lan", ["192.168.65.3", 9000], 43_660);
  }),
  tcp("n03", "the same with bridge-nf-call-iptables 0", HOSTS.modernUnfiltered, (stage) => {
    stage.serve("c1", 9000);
    stage.connect("lan", ["192.168.65.3", 9000], 44_140);
  }),
  tcp("t04", "on localhost docker-proxy makes a second connection", HOSTS.classic, (stage) => {
    stage.serve("c1", 9000);
    stage.proxy(9000, ["172.17.0.2", 9000], 55_436);
    stage.connect("host", ["127.0.0.1", 9000], 44_410);
  }),
  tcp("t06", "the host reaches a container by its own address", HOSTS.classic, (stage) => {
    stage.serve("c1", 9000);
    stage.connect("host", ["172.17.0.2", 9000], 50_172);
  }),
  tcp("t27", "docker-proxy carries an IPv6 client on by IPv4", HOSTS.third, (stage) => {
    stage.serve("c1", 9000);
    stage.connect("host", ["172.17.0.2", 9000], 34_698);
  }),
  tcp("t07", "from its own bridge a published port is docker-proxy", HOSTS.classic, (stage) => {
    stage.serve("c1", 9000);
    stage.proxy(9000, ["172.17.0.2", 9000], 50_180);
    stage.connect("c2", ["192.168.65.3", 9000], 60_870);
  }),
  tcp("m07", "the same under the rules of Docker 29", HOSTS.modern, (stage) => {
    stage.serve("c1", 9000);
    stage.proxy(9000, ["172.17.0.2", 9000], 52_976);
    stage.connect("c2", ["192.168.65.3", 9000], 41_854);
  }),
  tcp("t10", "from another bridge a published port is docker-proxy too", HOSTS.classic, (stage) => {
    stage.serve("web", 80);
    stage.proxy(8080, ["172.18.0.2", 80], 52_820, 2.2);
    // The clock ticked while docker-proxy waited: the client's FIN is acknowledged before it goes on.
    stage.run(2);
    stage.connect("c1", ["192.168.65.3", 8080], 51_116);
  }),
  tcp("t11", "the LAN routes to a published port", HOSTS.classic, (stage) => {
    stage.serve("c1", 9000);
    stage.connect("lan", ["172.17.0.2", 9000], 50_266);
  }),
  tcp("t14", "a rule in INPUT does not stop what is published", withRule(HOSTS.classic, INPUT_DROP), (stage) => {
    stage.serve("c1", 9000);
    stage.connect("lan", ["192.168.65.3", 9000], 56_290);
  }),
  tcp(
    "t14d",
    "a rule in DOCKER-USER does not see the port that was dialled",
    withRule(HOSTS.classic, USER_DROP),
    (stage) => {
      stage.serve("web", 80);
      stage.connect("lan", ["192.168.65.3", 8080], 47_228);
    },
  ),
  tcp("t15", "a packet for 127.0.0.1 comes in by the cable, and DNAT rescues it", HOSTS.classic, (stage) => {
    stage.serve("c2", 9001);
    stage.forge("06:63:67:71:6c:81", ["192.168.65.50", 45_000], ["127.0.0.1", 9001]);
  }),
  tcp("t20", "without the userland proxy localhost is translated and masqueraded", HOSTS.withoutProxy, (stage) => {
    stage.serve("c1", 9000);
    stage.connect("host", ["127.0.0.1", 9000], 33_840);
  }),
  tcp(
    "t21",
    "a container reaches itself by its published port, out by the port that it came in",
    HOSTS.withoutProxy,
    (stage) => {
      stage.serve("c1", 9000);
      stage.connect("c1", ["192.168.65.3", 9000], 51_592);
    },
  ),
  tcp(
    "t22",
    "a container reaches its neighbour by the published port, and keeps its address",
    HOSTS.withoutProxy,
    (stage) => {
      stage.serve("c1", 9000);
      stage.connect("c2", ["192.168.65.3", 9000], 59_280);
    },
  ),
  tcp(
    "t24",
    "with bridge-nf-call-iptables 0 the answer is not translated back",
    HOSTS.withoutProxyAndFilter,
    (stage) => {
      stage.serve("c1", 9000);
      stage.connect("c2", ["192.168.65.3", 9000], 41_190);
    },
  ),
  tcp("t36", "Traefik finds the socket proxy on their internal network", HOSTS.traefik, (stage) => {
    stage.serve("docker-socket-proxy", 2375);
    stage.connect("traefik", ["172.19.0.3", 2375], 43_066);
  }),
  tcp("t36b", "Traefik reaches a backend on the network that they share", HOSTS.traefik, (stage) => {
    stage.serve("app", 8000);
    stage.connect("traefik", ["172.18.0.3", 8000], 44_396);
  }),
  tcp("t32", "icc=false keeps two containers apart", HOSTS.noIcc, (stage) =>
    stage.connect("c2", ["172.17.0.2", 9000], 57_598),
  ),
  tcp("t34", "a service on the host's loopback refuses containers", HOSTS.last, (stage) =>
    stage.connect("c1", ["172.17.0.1", 3333], 39_040),
  ),
  {
    ...udp("t17", "Docker's DNS server answers inside the container, through DNAT", HOSTS.insideDb, (stage) => {
      stage.dnsServer("db", ["127.0.0.11", 39_029], { address: "172.18.0.2", ttl: 600, pointer: false });
      stage.dnsQuery("db", "web", "127.0.0.11", { port: 32_815, id: 16_841 });
    }),
    namespace: "db",
  },
  udp(
    "t17c",
    "a name that Docker does not know is asked of the host's DNS server, from the container",
    HOSTS.resolving,
    (stage) => {
      stage.dnsServer("gw", ["0.0.0.0", 53], { address: "198.51.100.7", ttl: 60, pointer: true });
      stage.dnsForwarder("db", ["127.0.0.11", 39_029], "192.168.65.1", 51_070);
      stage.dnsQuery("db", "api.example.com", "127.0.0.11", { port: 40_000, id: 21_733 });
    },
  ),
  {
    ...udp(
      "t30",
      "two containers send from the same source port, and MASQUERADE keeps each in its class of ports",
      HOSTS.modern,
      collide,
    ),
    namedPorts: [45_678, 777, 300, 9999],
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

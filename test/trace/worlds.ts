import type { LabCase } from "../../src/scenario/lab-case.ts";
import { buildLab } from "../../src/scenario/lab-world.ts";
import { Capture } from "../../src/trace/capture.ts";
import type { Recorder } from "../../src/trace/recorder.ts";
import { parseIpv4 } from "../../src/wire/address.ts";
import type { World } from "../../src/world/world.ts";

/** Docker's chains in short. */
export const DOCKER_RULES = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p udp -m udp --dport 3000 -j DNAT --to-destination 172.17.0.2:53
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p udp -m udp --dport 53 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
`;

/** Two containers behind docker0, a gateway and the internet: c1, c2 - host - gw - inet. */
export function containerCase(rules: string, sysctls: Record<string, number> = {}): LabCase {
  const container = (address: string, mac: string) => ({
    addrs: [["eth0", address]] as [string, string][],
    routes: ["default via 172.17.0.1 dev eth0"],
    devs: { eth0: { mac } },
  });
  return {
    namespaces: {
      c1: container("172.17.0.2/16", "02:42:ac:11:00:02"),
      c2: container("172.17.0.3/16", "02:42:ac:11:00:03"),
      host: {
        sysctls: { "net.ipv4.ip_forward": 1, ...sysctls },
        devs: {
          docker0: { type: "bridge", mac: "02:42:06:52:44:7c" },
          veth1: { master: "docker0" },
          veth2: { master: "docker0" },
          eth0: { mac: "06:63:67:71:6c:81" },
        },
        addrs: [
          ["docker0", "172.17.0.1/16"],
          ["eth0", "192.168.65.3/24"],
        ],
        routes: ["default via 192.168.65.1 dev eth0"],
        rules,
      },
      gw: {
        sysctls: { "net.ipv4.ip_forward": 1 },
        devs: { lan: { mac: "32:15:9b:d2:d7:79" } },
        addrs: [
          ["lan", "192.168.65.1/24"],
          ["wan", "203.0.113.1/24"],
        ],
      },
      inet: { addrs: [["eth0", "203.0.113.10/24"]], routes: ["default via 203.0.113.1 dev eth0"] },
    },
    veths: [
      ["host/veth1", "c1/eth0"],
      ["host/veth2", "c2/eth0"],
      ["host/eth0", "gw/lan"],
      ["gw/wan", "inet/eth0"],
    ],
  };
}

/** A world that is listened to, with all neighbours known so that ARP is out of the way. */
export class Stage {
  readonly world: World;
  readonly recorder: Recorder;
  readonly capture = new Capture();

  constructor(lab: LabCase, warm = true) {
    this.world = buildLab(lab);
    this.recorder = this.world.fabric.record();
    if (warm) {
      this.ping("c1", "203.0.113.10", 60_000);
      this.ping("c2", "203.0.113.10", 60_001);
      this.ping("c1", "172.17.0.3", 60_002);
      for (const { net } of this.world.hosts.values()) net.tracker.flush();
      this.recorder.clear();
    }
    this.world.fabric.capture = this.capture;
  }

  ping(from: string, to: string, identifier = 7, ttl = 64): void {
    const socket = this.world.host(from).ping.socket(identifier);
    socket.send(parseIpv4(to), 1, { ttl });
    this.world.run();
    socket.close();
  }

  /** One datagram of `size` bytes from port 40000. */
  datagram(from: string, to: string, port: number, size = 20, socket = this.world.host(from).udp.open({})): void {
    socket.bind(0, 40_000);
    socket.send(new Uint8Array(size), { address: parseIpv4(to), port });
    this.world.run();
    socket.close();
  }

  /** Somebody listens on a UDP port. */
  listen(namespace: string, port: number): void {
    this.world.host(namespace).udp.open({}).bind(0, port);
  }
}

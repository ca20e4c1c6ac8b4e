import { describe, expect, it } from "vitest";
import { packetBytes } from "../../src/scenario/lab-packet.ts";
import { readTrace } from "../../src/trace/trace.ts";
import { formatXtables } from "../../src/trace/xtables-monitor.ts";
import { parseIpv4 } from "../../src/wire/address.ts";
import { containerCase, DOCKER_RULES, Stage } from "./worlds.ts";

/** Kernel run t01: what Linux 6.18 said of a ping from a container through the rules of Docker 23.0.18. */
const RECORDED = [
  "PACKET: 2 8b3f770e IN=docker0 MACSRC=2:42:ac:11:0:2 MACDST=2:42:6:52:44:7c MACPROTO=0800 SRC=172.17.0.2 DST=203.0.113.10 LEN=84 TOS=0x0 TTL=64 ID=33103 DF ",
  " TRACE: 2 8b3f770e raw:PREROUTING:rule:0x17:CONTINUE  -4 -t raw -A PREROUTING -p icmp -j TRACE",
  " TRACE: 2 8b3f770e raw:PREROUTING:policy:ACCEPT ",
  "PACKET: 2 8b3f770e IN=docker0 MACSRC=2:42:ac:11:0:2 MACDST=2:42:6:52:44:7c MACPROTO=0800 SRC=172.17.0.2 DST=203.0.113.10 LEN=84 TOS=0x0 TTL=64 ID=33103 DF ",
  " TRACE: 2 8b3f770e mangle:PREROUTING:policy:ACCEPT ",
  "PACKET: 2 8b3f770e IN=docker0 MACSRC=2:42:ac:11:0:2 MACDST=2:42:6:52:44:7c MACPROTO=0800 SRC=172.17.0.2 DST=203.0.113.10 LEN=84 TOS=0x0 TTL=64 ID=33103 DF ",
  " TRACE: 2 8b3f770e nat:PREROUTING:policy:ACCEPT ",
  "PACKET: 2 d38cc729 IN=docker0 OUT=eth0 MACSRC=2:42:ac:11:0:2 MACDST=2:42:6:52:44:7c MACPROTO=0800 SRC=172.17.0.2 DST=203.0.113.10 LEN=84 TOS=0x0 TTL=63 ID=33103 DF ",
  " TRACE: 2 d38cc729 mangle:FORWARD:policy:ACCEPT ",
  "PACKET: 2 d38cc729 IN=docker0 OUT=eth0 MACSRC=2:42:ac:11:0:2 MACDST=2:42:6:52:44:7c MACPROTO=0800 SRC=172.17.0.2 DST=203.0.113.10 LEN=84 TOS=0x0 TTL=63 ID=33103 DF ",
  " TRACE: 2 d38cc729 filter:FORWARD:rule:0x18:JUMP:DOCKER-USER  -4 -t filter -A FORWARD -j DOCKER-USER",
  " TRACE: 2 d38cc729 filter:DOCKER-USER:rule:0xf:0xfffffffb  -4 -t filter -A DOCKER-USER -j RETURN",
  " TRACE: 2 d38cc729 filter:FORWARD:rule:0x15:JUMP:DOCKER-ISOLATION-STAGE-1  -4 -t filter -A FORWARD -j DOCKER-ISOLATION-STAGE-1",
  " TRACE: 2 d38cc729 filter:DOCKER-ISOLATION-STAGE-1:rule:0xc:JUMP:DOCKER-ISOLATION-STAGE-2  -4 -t filter -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2",
  " TRACE: 2 d38cc729 filter:DOCKER-ISOLATION-STAGE-2:rule:0x5:0xfffffffb  -4 -t filter -A DOCKER-ISOLATION-STAGE-2 -j RETURN",
  " TRACE: 2 d38cc729 filter:DOCKER-ISOLATION-STAGE-1:rule:0x4:0xfffffffb  -4 -t filter -A DOCKER-ISOLATION-STAGE-1 -j RETURN",
  " TRACE: 2 d38cc729 filter:FORWARD:rule:0x8:ACCEPT  -4 -t filter -A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
  "PACKET: 2 d38cc729 IN=docker0 OUT=eth0 MACSRC=2:42:ac:11:0:2 MACDST=2:42:6:52:44:7c MACPROTO=0800 SRC=172.17.0.2 DST=203.0.113.10 LEN=84 TOS=0x0 TTL=63 ID=33103 DF ",
  " TRACE: 2 d38cc729 mangle:POSTROUTING:policy:ACCEPT ",
  "PACKET: 2 d38cc729 IN=docker0 OUT=eth0 MACSRC=2:42:ac:11:0:2 MACDST=2:42:6:52:44:7c MACPROTO=0800 SRC=172.17.0.2 DST=203.0.113.10 LEN=84 TOS=0x0 TTL=63 ID=33103 DF ",
  " TRACE: 2 d38cc729 nat:POSTROUTING:rule:0x3:ACCEPT  -4 -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
  "PACKET: 2 30b0b1b7 IN=eth0 MACSRC=32:15:9b:d2:d7:79 MACDST=6:63:67:71:6c:81 MACPROTO=0800 SRC=203.0.113.10 DST=192.168.65.3 LEN=84 TOS=0x0 TTL=63 ID=63695 ",
  " TRACE: 2 30b0b1b7 raw:PREROUTING:rule:0x17:CONTINUE  -4 -t raw -A PREROUTING -p icmp -j TRACE",
  " TRACE: 2 30b0b1b7 raw:PREROUTING:policy:ACCEPT ",
  "PACKET: 2 30b0b1b7 IN=eth0 MACSRC=32:15:9b:d2:d7:79 MACDST=6:63:67:71:6c:81 MACPROTO=0800 SRC=203.0.113.10 DST=192.168.65.3 LEN=84 TOS=0x0 TTL=63 ID=63695 ",
  " TRACE: 2 30b0b1b7 mangle:PREROUTING:policy:ACCEPT ",
  "PACKET: 2 30b0b1b7 IN=eth0 OUT=docker0 MACSRC=32:15:9b:d2:d7:79 MACDST=6:63:67:71:6c:81 MACPROTO=0800 SRC=203.0.113.10 DST=172.17.0.2 LEN=84 TOS=0x0 TTL=62 ID=63695 ",
  " TRACE: 2 30b0b1b7 mangle:FORWARD:policy:ACCEPT ",
  "PACKET: 2 30b0b1b7 IN=eth0 OUT=docker0 MACSRC=32:15:9b:d2:d7:79 MACDST=6:63:67:71:6c:81 MACPROTO=0800 SRC=203.0.113.10 DST=172.17.0.2 LEN=84 TOS=0x0 TTL=62 ID=63695 ",
  " TRACE: 2 30b0b1b7 filter:FORWARD:rule:0x18:JUMP:DOCKER-USER  -4 -t filter -A FORWARD -j DOCKER-USER",
  " TRACE: 2 30b0b1b7 filter:DOCKER-USER:rule:0xf:0xfffffffb  -4 -t filter -A DOCKER-USER -j RETURN",
  " TRACE: 2 30b0b1b7 filter:FORWARD:rule:0x15:JUMP:DOCKER-ISOLATION-STAGE-1  -4 -t filter -A FORWARD -j DOCKER-ISOLATION-STAGE-1",
  " TRACE: 2 30b0b1b7 filter:DOCKER-ISOLATION-STAGE-1:rule:0x4:0xfffffffb  -4 -t filter -A DOCKER-ISOLATION-STAGE-1 -j RETURN",
  " TRACE: 2 30b0b1b7 filter:FORWARD:rule:0xa:ACCEPT  -4 -t filter -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  "PACKET: 2 30b0b1b7 IN=eth0 OUT=docker0 MACSRC=32:15:9b:d2:d7:79 MACDST=6:63:67:71:6c:81 MACPROTO=0800 SRC=203.0.113.10 DST=172.17.0.2 LEN=84 TOS=0x0 TTL=62 ID=63695 ",
  " TRACE: 2 30b0b1b7 mangle:POSTROUTING:policy:ACCEPT ",
];

/** The rules of that run, without those of its other bridge. */
const RULES = `*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p icmp -j TRACE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 9000 -j ACCEPT
-A DOCKER -d 172.17.0.3/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 9001 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
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
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 9000 -j MASQUERADE
-A POSTROUTING -s 172.17.0.3/32 -d 172.17.0.3/32 -p tcp -m tcp --dport 9001 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 9000 -j DNAT --to-destination 172.17.0.2:9000
-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 9001 -j DNAT --to-destination 172.17.0.3:9001
COMMIT
`;

/** Ids and handles are the kernel's own, and so is the identification of its reply. */
const comparable = (line: string): string =>
  line
    .replace(/: 2 [0-9a-f]{8} /, ": ")
    .replace(/:rule:0x[0-9a-f]+:/, ":rule:")
    .replace(/(SRC=203\.0\.113\.10 .*) ID=\d+ /, "$1 ");

const linesOf = (stage: Stage, namespace?: string): string[] =>
  formatXtables(readTrace(stage.recorder), namespace === undefined ? {} : { namespace })
    .trimEnd()
    .split("\n");

describe("the text of xtables-monitor", () => {
  it("is what the kernel printed of a container's ping into the internet", () => {
    const stage = new Stage(containerCase(RULES));
    const icmp = { type: 8, id: 14_220, seq: 1, size: 56 };
    const ip = { src: "172.17.0.2", dst: "203.0.113.10", id: 33_103, df: true };
    stage.world.host("c1").net.sendRaw(packetBytes({ ip, icmp }), parseIpv4("203.0.113.10"), 0);
    stage.world.run();
    const lines = formatXtables(readTrace(stage.recorder), { namespace: "host", marked: true }).split("\n");
    expect(lines.slice(0, -1).map(comparable)).toEqual(RECORDED.map(comparable));
  });

  it("takes the packet's number for its id and the rule's for its handle", () => {
    const stage = new Stage(containerCase(DOCKER_RULES));
    stage.datagram("inet", "192.168.65.3", 3000);
    const lines = linesOf(stage, "host");
    const came =
      "IN=eth0 MACSRC=32:15:9b:d2:d7:79 MACDST=6:63:67:71:6c:81 MACPROTO=0800 SRC=203.0.113.10 DST=192.168.65.3";
    const id = /ID=(\d+)/.exec(lines[0]!)![1];
    expect(lines.slice(0, 3)).toEqual([
      `PACKET: 2 00000014 ${came} LEN=48 TOS=0x0 TTL=63 ID=${id} DF SPORT=40000 DPORT=3000 `,
      " TRACE: 2 00000014 nat:PREROUTING:rule:0x1:JUMP:DOCKER  -4 -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
      " TRACE: 2 00000014 nat:DOCKER:rule:0x2:ACCEPT  -4 -t nat -A DOCKER ! -i docker0 -p udp -m udp --dport 3000 -j DNAT --to-destination 172.17.0.2:53",
    ]);
    expect(lines[3]).toContain("IN=eth0 OUT=docker0 ");
    expect(lines[3]).toContain(
      `SRC=203.0.113.10 DST=172.17.0.2 LEN=48 TOS=0x0 TTL=62 ID=${id} DF SPORT=40000 DPORT=53 `,
    );
  });

  it("tells the raw Ethernet header of a bridged frame that leaves, as the kernel's monitor does", () => {
    const stage = new Stage(containerCase(DOCKER_RULES));
    stage.ping("c1", "172.17.0.3");
    expect(linesOf(stage, "host").find((line) => line.startsWith("PACKET: 2 00000014 OUT="))).toMatch(
      /^PACKET: 2 00000014 OUT=docker0 LL=0x0 0242ffffffac1100030242ffffffac1100020800 SRC=172\.17\.0\.2 DST=172\.17\.0\.3 /,
    );
  });

  it("tells no Ethernet header of a packet that has none, and LOOPBACK of what came over lo", () => {
    const stage = new Stage(containerCase(DOCKER_RULES));
    stage.ping("host", "172.17.0.1");
    const packets = linesOf(stage).filter((line) => line.startsWith("PACKET"));
    expect(packets[0]).toMatch(/^PACKET: 2 00000014 OUT=lo SRC=172\.17\.0\.1 DST=172\.17\.0\.1 LEN=84 /);
    expect(packets.find((line) => line.includes("IN="))).toMatch(
      /^PACKET: 2 00000014 IN=lo LOOPBACK SRC=172\.17\.0\.1 /,
    );
  });

  it("says what a mark is, and a drop", () => {
    const rules = DOCKER_RULES.replace("-A DOCKER-USER -j RETURN", "-A DOCKER-USER -j DROP").concat(
      "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-xmark 0x10/0xffffffff\nCOMMIT\n",
    );
    const stage = new Stage(containerCase(rules), false);
    stage.ping("c1", "203.0.113.10");
    const lines = linesOf(stage);
    expect(lines[0]).toMatch(/ MARK=0x10 $/);
    expect(lines.at(-1)).toBe(
      " TRACE: 2 00000001 filter:DOCKER-USER:rule:0x1:DROP  -4 -t filter -A DOCKER-USER -j DROP",
    );
  });

  it("follows only the packets that a TRACE rule marks, from there on, when asked to", () => {
    const rules = DOCKER_RULES.concat(
      "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A PREROUTING -p udp -j TRACE\nCOMMIT\n",
    );
    const stage = new Stage(containerCase(rules));
    stage.ping("c1", "203.0.113.10");
    const trace = () => formatXtables(readTrace(stage.recorder), { marked: true });
    expect(trace()).toBe("");
    stage.datagram("c1", "203.0.113.10", 9);
    expect(trace()).toContain(" raw:PREROUTING:rule:0x1:CONTINUE  -4 -t raw -A PREROUTING -p udp -j TRACE\n");
  });
});

import { describe, expect, it } from "vitest";
import type { LabCase } from "../../src/scenario/lab-case.ts";
import type { Level } from "../../src/trace/step.ts";
import { formatStory, type StoryOptions, tellStory } from "../../src/trace/story.ts";
import { readTrace } from "../../src/trace/trace.ts";
import { containerCase, DOCKER_RULES, Stage } from "./worlds.ts";

function story(stage: Stage, level: Level = "step"): string {
  const capture = { capture: stage.capture, names: stage.recorder.names };
  return formatStory(readTrace(stage.recorder), { level, capture });
}

function stageOf(act: (stage: Stage) => void, lab: LabCase = containerCase(DOCKER_RULES), warm = true): Stage {
  const stage = new Stage(lab, warm);
  act(stage);
  return stage;
}

const toInternet = (stage: Stage) => stage.ping("c1", "203.0.113.10");
const withoutRule = (rule: string) => containerCase(DOCKER_RULES.replace(`${rule}\n`, ""));
/** As a line of the story: the tail of what follows `from`, up to and without `to`. */
const part = (text: string, from: string, to: string) => text.slice(text.indexOf(from), text.indexOf(to));

describe("the story of a packet, step by step", () => {
  it("tells a ping that is masqueraded into the internet, ARP and all", () => {
    expect(
      story(stageOf(toInternet, containerCase(DOCKER_RULES), false)),
    ).toBe(`#1 ICMP echo request 172.17.0.2 > 203.0.113.10  id 7 seq 1                                       t=0
  c1    sends        84 bytes, ttl 64, don't fragment
        route        default via 172.17.0.1 dev eth0
        eth0         waits: which MAC address has 172.17.0.1? asks in #2
        eth0 >       98-byte frame to 02:42:06:52:44:7c (172.17.0.1)
  host  > veth1      98-byte frame
        PREROUTING   conntrack NEW (flow 1); nat: no rule matches, policy ACCEPT
        docker0      for the bridge itself: goes up to the host
        route        default via 192.168.65.1 dev eth0
        forward      ttl 64 > 63
        FORWARD      filter rule 1  -j DOCKER-USER (returns by its rule 1)
                     filter rule 4  -i docker0 ! -o docker0 -j ACCEPT
        POSTROUTING  nat rule 1  -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
                     source 172.17.0.2 > 192.168.65.3, id 7 kept
                     conntrack: flow 1 confirmed
        eth0         waits: which MAC address has 192.168.65.1? asks in #5
        eth0 >       98-byte frame to 32:15:9b:d2:d7:79 (192.168.65.1)
  gw    > lan        98-byte frame
        route        203.0.113.0/24 dev wan
        forward      ttl 63 > 62
        wan          waits: which MAC address has 203.0.113.10? asks in #7
        wan >        98-byte frame to 02:00:00:00:04:01 (203.0.113.10)
  inet  > eth0       98-byte frame
        route        203.0.113.10 is an address of this host
        consumed     kernel answers: #9 ICMP echo reply

#2 ARP who has 172.17.0.1? tell 172.17.0.2  (for #1)                                             t=0
  c1    arp          eth0 > host > veth1, docker0: answered: #4 ARP reply

#3 ARP who has 172.17.0.1? tell 172.17.0.2  (copy of #2)                                         t=0
  host  arp          veth2 > c2 > eth0: noted, no answer from here

#4 ARP 172.17.0.1 is at 02:42:06:52:44:7c  (answers #2)                                          t=0
  host  arp          docker0, veth1 > c1 > eth0: noted

#5 ARP who has 192.168.65.1? tell 192.168.65.3  (for #1)                                         t=0
  host  arp          eth0 > gw > lan: answered: #6 ARP reply

#6 ARP 192.168.65.1 is at 32:15:9b:d2:d7:79  (answers #5)                                        t=0
  gw    arp          lan > host > eth0: noted

#7 ARP who has 203.0.113.10? tell 203.0.113.1  (for #1)                                          t=0
  gw    arp          wan > inet > eth0: answered: #8 ARP reply

#8 ARP 203.0.113.10 is at 02:00:00:00:04:01  (answers #7)                                        t=0
  inet  arp          eth0 > gw > wan: noted

#9 ICMP echo reply 203.0.113.10 > 192.168.65.3  id 7 seq 1  (answers #1)                         t=0
  inet  sends        84 bytes, ttl 64
        route        default via 203.0.113.1 dev eth0
        eth0 >       98-byte frame to 02:00:00:00:03:02 (203.0.113.1, DELAY)
  gw    > wan        98-byte frame
        route        192.168.65.0/24 dev lan
        forward      ttl 64 > 63
        lan >        98-byte frame to 06:63:67:71:6c:81 (192.168.65.3, DELAY)
  host  > eth0       98-byte frame
        PREROUTING   conntrack ESTABLISHED (flow 1, reply)
                     destination 192.168.65.3 > 172.17.0.2, id 7 kept
        route        172.17.0.0/16 dev docker0
        forward      ttl 63 > 62
        FORWARD      filter rule 1  -j DOCKER-USER (returns by its rule 1)
                     filter rule 2  -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        docker0 >    98-byte frame to 02:42:ac:11:00:02 (172.17.0.2, DELAY)
        docker0      forwards to its port veth1
        veth1 >      98-byte frame to 02:42:ac:11:00:02
  c1    > eth0       98-byte frame
        route        172.17.0.2 is an address of this host
        delivered    to ping id 7
`);
  });

  it("names the policy that drops a packet, and says why in plain words", () => {
    const lab = withoutRule("-A FORWARD -i docker0 ! -o docker0 -j ACCEPT");
    expect(
      story(stageOf(toInternet, lab)),
    ).toBe(`#14 ICMP echo request 172.17.0.2 > 203.0.113.10  id 7 seq 1                                      t=0
  c1    sends        84 bytes, ttl 64, don't fragment
        route        default via 172.17.0.1 dev eth0
        eth0 >       98-byte frame to 02:42:06:52:44:7c (172.17.0.1)
  host  > veth1      98-byte frame
        PREROUTING   conntrack NEW (flow 4); nat: no rule matches, policy ACCEPT
        docker0      for the bridge itself: goes up to the host
        route        default via 192.168.65.1 dev eth0
        forward      ttl 64 > 63
        FORWARD      filter rule 1  -j DOCKER-USER (returns by its rule 1)
                     filter: policy DROP
        dropped      NETFILTER_DROP by the policy of filter FORWARD: the packet filter refuses it
`);
  });

  it("tells a published port: the rule that translates, the jump to it and the new destination", () => {
    const stage = stageOf((on) => {
      on.listen("c1", 53);
      on.datagram("inet", "192.168.65.3", 3000);
    });
    expect(
      story(stage),
    ).toBe(`#20 UDP 203.0.113.10:40000 > 192.168.65.3:3000                                                   t=0
  inet  sends        48 bytes, ttl 64, don't fragment
        route        default via 203.0.113.1 dev eth0
        eth0 >       62-byte frame to 02:00:00:00:03:02 (203.0.113.1, DELAY)
  gw    > wan        62-byte frame
        route        192.168.65.0/24 dev lan
        forward      ttl 64 > 63
        lan >        62-byte frame to 06:63:67:71:6c:81 (192.168.65.3, DELAY)
  host  > eth0       62-byte frame
        PREROUTING   conntrack NEW (flow 4)
                     nat rule 1  -m addrtype --dst-type LOCAL -j DOCKER
                       nat DOCKER rule 2
                         ! -i docker0 -p udp -m udp --dport 3000 -j DNAT --to-destination
                           172.17.0.2:53
                     destination 192.168.65.3:3000 > 172.17.0.2:53
        route        172.17.0.0/16 dev docker0
        forward      ttl 63 > 62
        FORWARD      filter rule 1  -j DOCKER-USER (returns by its rule 1)
                     filter rule 3  -o docker0 -j DOCKER
                       filter DOCKER rule 1
                         -d 172.17.0.2/32 ! -i docker0 -o docker0 -p udp -m udp --dport 53 -j ACCEPT
        POSTROUTING  nat: no rule matches, policy ACCEPT; conntrack: flow 4 confirmed
        docker0 >    62-byte frame to 02:42:ac:11:00:02 (172.17.0.2, DELAY)
        docker0      forwards to its port veth1
        veth1 >      62-byte frame to 02:42:ac:11:00:02
  c1    > eth0       62-byte frame
        route        172.17.0.2 is an address of this host
        delivered    to udp 0.0.0.0:53
`);
  });

  it("tells the ICMP error that a router makes, and how it finds back through NAT", () => {
    expect(
      story(stageOf((on) => on.ping("c1", "203.0.113.10", 7, 2))),
    ).toBe(`#20 ICMP echo request 172.17.0.2 > 203.0.113.10  id 7 seq 1                                      t=0
  c1    sends        84 bytes, ttl 2, don't fragment
        route        default via 172.17.0.1 dev eth0
        eth0 >       98-byte frame to 02:42:06:52:44:7c (172.17.0.1)
  host  > veth1      98-byte frame
        PREROUTING   conntrack NEW (flow 4); nat: no rule matches, policy ACCEPT
        docker0      for the bridge itself: goes up to the host
        route        default via 192.168.65.1 dev eth0
        forward      ttl 2 > 1
        FORWARD      filter rule 1  -j DOCKER-USER (returns by its rule 1)
                     filter rule 4  -i docker0 ! -o docker0 -j ACCEPT
        POSTROUTING  nat rule 1  -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
                     source 172.17.0.2 > 192.168.65.3, id 7 kept
                     conntrack: flow 4 confirmed
        eth0 >       98-byte frame to 32:15:9b:d2:d7:79 (192.168.65.1)
  gw    > lan        98-byte frame
        route        203.0.113.0/24 dev wan
        icmp         tells the sender: #21 ICMP time exceeded
        dropped      IP_INHDR: the IPv4 header is malformed, or its time to live used up

#21 ICMP time exceeded 192.168.65.1 > 192.168.65.3  (about #20)                                  t=0
  gw    sends        112 bytes, ttl 64, tos 0xc0
        route        192.168.65.0/24 dev lan
        lan >        126-byte frame to 06:63:67:71:6c:81 (192.168.65.3, DELAY)
  host  > eth0       126-byte frame
        PREROUTING   conntrack RELATED (flow 4, reply)
                     in the quoted packet: source 192.168.65.3 > 172.17.0.2
                     destination 192.168.65.3 > 172.17.0.2
        route        172.17.0.0/16 dev docker0
        forward      ttl 64 > 63
        FORWARD      filter rule 1  -j DOCKER-USER (returns by its rule 1)
                     filter rule 2  -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        docker0 >    126-byte frame to 02:42:ac:11:00:02 (172.17.0.2, DELAY)
        docker0      forwards to its port veth1
        veth1 >      126-byte frame to 02:42:ac:11:00:02
  c1    > eth0       126-byte frame
        route        172.17.0.2 is an address of this host
        consumed     by the kernel, which tells the socket that this error is about
`);
  });

  it("keeps to the bridge where bridged frames are not shown to the rules", () => {
    const lab = containerCase(DOCKER_RULES, { "net.bridge.bridge-nf-call-iptables": 0 });
    expect(
      story(stageOf((on) => on.ping("c1", "172.17.0.3"), lab)),
    ).toBe(`#20 ICMP echo request 172.17.0.2 > 172.17.0.3  id 7 seq 1                                        t=0
  c1    sends        84 bytes, ttl 64, don't fragment
        route        172.17.0.0/16 dev eth0
        eth0 >       98-byte frame to 02:42:ac:11:00:03 (172.17.0.3)
  host  > veth1      98-byte frame
        docker0      forwards to its port veth2
        veth2 >      98-byte frame to 02:42:ac:11:00:03
  c2    > eth0       98-byte frame
        route        172.17.0.3 is an address of this host
        consumed     kernel answers: #21 ICMP echo reply

#21 ICMP echo reply 172.17.0.3 > 172.17.0.2  id 7 seq 1  (answers #20)                           t=0
  c2    sends        84 bytes, ttl 64
        route        172.17.0.0/16 dev eth0
        eth0 >       98-byte frame to 02:42:ac:11:00:02 (172.17.0.2, DELAY)
  host  > veth2      98-byte frame
        docker0      forwards to its port veth1
        veth1 >      98-byte frame to 02:42:ac:11:00:02
  c1    > eth0       98-byte frame
        route        172.17.0.2 is an address of this host
        delivered    to ping id 7
`);
  });

  it("shows the time where it has moved on, and the neighbour that failed", () => {
    const text = story(stageOf((on) => on.ping("c1", "172.17.0.99")));
    expect(part(text, "#20 ", "\n\n")).toBe(
      `#20 ICMP echo request 172.17.0.2 > 172.17.0.99  id 7 seq 1                                       t=0
  c1    sends        84 bytes, ttl 64, don't fragment
        route        172.17.0.0/16 dev eth0
        eth0         waits: which MAC address has 172.17.0.99? asks in #21
        icmp         tells the sender: #27 ICMP host unreachable                               t=3 s
        dropped      NEIGH_FAILED: nobody answered who has the next hop's address`,
    );
    expect(text).toContain(
      "\n  c1    eth0         neighbour 172.17.0.99 is FAILED                                           t=3 s\n",
    );
  });

  it("tells the new route of a packet that OUTPUT gave another destination", () => {
    const text = story(stageOf((on) => on.datagram("host", "192.168.65.3", 3000)));
    expect(text).toContain("                     routed again: 172.17.0.0/16 dev docker0\n");
  });

  it("tells what a datagram is cut into and made of again", () => {
    const stage = stageOf((on) => {
      on.listen("inet", 9);
      on.datagram("c1", "203.0.113.10", 9, 3000, on.world.host("c1").udp.open({ discovery: 0 }));
    });
    expect(part(story(stage), "#20 ", "\n\n")).toBe(
      `#20 UDP 172.17.0.2:40000 > 203.0.113.10:9                                                        t=0
  c1    sends        3028 bytes, ttl 64
        route        default via 172.17.0.1 dev eth0
        fragment     cut into 3 fragments of at most 1500 bytes
        consumed     its fragments go on: #21 UDP (first fragment), #22 UDP fragment at byte 1480,
                       #23 UDP fragment at byte 2960`,
    );
    expect(story(stage)).toContain("PREROUTING   the last fragment is here: one datagram of 3028 bytes\n");
  });
});

describe("the other levels", () => {
  it("tells one line a namespace at level hop", () => {
    expect(
      story(stageOf(toInternet), "hop"),
    ).toBe(`#20 ICMP echo request 172.17.0.2 > 203.0.113.10  id 7 seq 1                                      t=0
  c1      eth0 >
  host    > veth1, docker0, eth0 >  ttl 64 > 63; source 172.17.0.2 > 192.168.65.3, id 7 kept
  gw      > lan, wan >  ttl 63 > 62
  inet    > eth0
          kernel answers: #21 ICMP echo reply

#21 ICMP echo reply 203.0.113.10 > 192.168.65.3  id 7 seq 1  (answers #20)                       t=0
  inet    eth0 >
  gw      > wan, lan >  ttl 64 > 63
  host    > eth0, docker0, veth1 >  destination 192.168.65.3 > 172.17.0.2, id 7 kept; ttl 63 > 62
  c1      > eth0
          delivered to ping id 7
`);
  });

  it("adds headers and bytes at level byte", () => {
    const text = story(
      stageOf((on) => on.ping("c1", "172.17.0.3")),
      "byte",
    );
    expect(text.split("\n").slice(0, 20).join("\n")).toBe(
      `#20 ICMP echo request 172.17.0.2 > 172.17.0.3  id 7 seq 1                                        t=0
  c1    sends        84 bytes, ttl 64, don't fragment
        route        172.17.0.0/16 dev eth0
        OUTPUT       no table and no tracker looks at it
        POSTROUTING  no table and no tracker looks at it
        eth0 >       98-byte frame to 02:42:ac:11:00:03 (172.17.0.3)
                     ethernet 02:42:ac:11:00:02 > 02:42:ac:11:00:03 type 0x0800
                     ipv4 172.17.0.2 > 172.17.0.3 protocol 1 ttl 64 tos 0x0 id 19349 length 84 DF
                     icmp type 8 code 0 id 7 seq 1
        0000  02 42 ac 11 00 03 02 42 ac 11 00 02 08 00 45 00  .B.....B......E.
        0010  00 54 4b 95 40 00 40 01 96 ec ac 11 00 02 ac 11  .TK.@.@.........
        0020  00 03 08 00 00 e5 00 07 00 01 00 01 02 03 04 05  ................
        0030  06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15  ................
        0040  16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23 24 25  .......... !"#$%
        0050  26 27 28 29 2a 2b 2c 2d 2e 2f 30 31 32 33 34 35  &'()*+,-./012345
        0060  36 37                                            67
  host  > veth1      98-byte frame
                     ethernet 02:42:ac:11:00:02 > 02:42:ac:11:00:03 type 0x0800
                     ipv4 172.17.0.2 > 172.17.0.3 protocol 1 ttl 64 tos 0x0 id 19349 length 84 DF
                     icmp type 8 code 0 id 7 seq 1`,
    );
  });

  it("leaves the bytes out where nobody captured them", () => {
    const { recorder } = stageOf(toInternet);
    const text = formatStory(readTrace(recorder), { level: "byte" });
    expect(text).toContain("ipv4 172.17.0.2 > 203.0.113.10 protocol 1 ttl 64 tos 0x0 id 19349 length 84 DF\n");
    expect(text).not.toContain("0000  ");
  });
});

describe("every story", () => {
  const longNames: LabCase = {
    namespaces: {
      "a-project-with-a-long-name-frontend-1": { addrs: [["interface-name1", "10.255.255.254/30"]] },
      "another-project-backend-1": { addrs: [["interface-name2", "10.255.255.253/30"]] },
    },
    veths: [["a-project-with-a-long-name-frontend-1/interface-name1", "another-project-backend-1/interface-name2"]],
  };
  const stages: Record<string, () => Stage> = {
    masquerade: () => stageOf(toInternet, containerCase(DOCKER_RULES), false),
    drop: () => stageOf(toInternet, withoutRule("-A FORWARD -i docker0 ! -o docker0 -j ACCEPT")),
    "published port": () => stageOf((on) => on.datagram("inet", "192.168.65.3", 3000)),
    "time exceeded": () => stageOf((on) => on.ping("c1", "203.0.113.10", 7, 2)),
    fragments: () =>
      stageOf((on) => on.datagram("c1", "203.0.113.10", 9, 3000, on.world.host("c1").udp.open({ discovery: 0 }))),
    "nobody there": () => stageOf((on) => on.ping("c1", "172.17.0.99")),
    "a comment of 200 letters": () =>
      stageOf(
        toInternet,
        containerCase(
          DOCKER_RULES.replace("-A DOCKER-USER ", `-A DOCKER-USER -m comment --comment ${"x".repeat(200)} `),
        ),
      ),
    "long names": () =>
      stageOf((on) => on.ping("a-project-with-a-long-name-frontend-1", "10.255.255.253"), longNames, false),
  };

  for (const [name, build] of Object.entries(stages))
    it(`fits 100 columns and has no trailing blanks: ${name}`, () => {
      const stage = build();
      for (const level of ["hop", "step", "byte"] as const) {
        const lines = story(stage, level).split("\n");
        expect(lines.filter((line) => [...line].length > 100)).toEqual([]);
        expect(lines.filter((line) => line !== line.trimEnd())).toEqual([]);
      }
    });

  it("is the join of its spans, so that a terminal may colour them", () => {
    const stage = stageOf(toInternet, withoutRule("-A FORWARD -i docker0 ! -o docker0 -j ACCEPT"));
    const options: StoryOptions = { level: "step" };
    const lines = tellStory(readTrace(stage.recorder), options);
    expect(`${lines.map((line) => line.map(({ text }) => text).join("")).join("\n")}\n`).toBe(story(stage));
    const dropped = lines.flat().filter(({ role }) => role === "drop");
    expect(dropped.map(({ text }) => text)).toEqual([
      "filter: policy DROP",
      "NETFILTER_DROP by the policy of filter FORWARD: the packet filter refuses it",
    ]);
  });
});

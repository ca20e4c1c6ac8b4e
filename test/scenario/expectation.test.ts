import { describe, expect, it } from "vitest";
import { parseScenario, runScenario } from "../../src/scenario/scenario.ts";
import { FOLDER, readText } from "./files.ts";

/** Runs a scenario of the project with other expectations. */
function judge(name: string, ...expectations: string[]) {
  const text = readText(FOLDER + name);
  const changed = `${text.slice(0, text.indexOf("expect:\n"))}expect:\n${expectations.map((one) => `  - ${one}\n`).join("")}`;
  return runScenario(parseScenario(changed, FOLDER + name, readText)).expectations;
}

describe("an expectation that fails", () => {
  it.each([
    [
      "says which field differs, and of which packet",
      "container-to-internet.yaml",
      "{ packet: icmp echo request, at: inet/eth0, source: 172.17.0.2, ttl: 63 }",
      "icmp echo request arrives at inet/eth0, source 172.17.0.2, ttl 63",
      "at inet/eth0 packet #1 has source 192.168.65.3 instead of 172.17.0.2, ttl 62 instead of 63",
    ],
    [
      "says where the packet was dropped instead, and by which rule",
      "published-port-filtered.yaml",
      "{ packet: udp, at: web/eth0 }",
      "udp arrives at web/eth0",
      "packet #1 (UDP 192.168.65.50:40000 > 192.168.65.3:3000) was last seen at host/eth0 at 0 ms and was dropped in host: NETFILTER_DROP by filter DOCKER 2 ! -i br-e537d0a07190 -o br-e537d0a07190 -j DROP",
    ],
    [
      "says that a policy dropped it",
      "forward-drop.yaml",
      "{ packet: icmp echo request, destination: 192.168.65.1, at: router/eth0 }",
      "icmp echo request arrives at router/eth0, destination 192.168.65.1",
      "packet #5 (ICMP echo request 192.168.122.10 > 192.168.65.1  id 2 seq 1) was last seen at host/virbr0 at 0 ms and was dropped in host: NETFILTER_DROP by filter FORWARD policy",
    ],
    [
      "says where the packet ended instead",
      "container-to-internet.yaml",
      "{ packet: icmp echo request, dropped: { at: host } }",
      "icmp echo request is dropped in host",
      "packet #1 (ICMP echo request 172.17.0.2 > 203.0.113.10  id 1 seq 1) was last seen at inet/eth0 at 0 ms and was consumed in inet: kernel answers",
    ],
    [
      "says that there was no such packet",
      "container-to-internet.yaml",
      "{ packet: tcp syn, at: inet/eth0 }",
      "tcp syn arrives at inet/eth0",
      "there was no tcp syn at all",
    ],
    [
      "counts",
      "container-to-internet.yaml",
      "{ packet: icmp echo request, at: inet/eth0, count: 2 }",
      "icmp echo request arrives at inet/eth0, 2 times",
      "found 1 instead of 2: packet #1 at 0 ms",
    ],
    [
      "prints what the program printed",
      "published-port-filtered.yaml",
      "{ output: { program: udp-client, line: hello } }",
      'udp-client prints "hello"',
      'it printed "no answer after 1 s" and ended with status 1',
    ],
    [
      "prints the flows that were tracked",
      "container-to-internet.yaml",
      "{ conntrack: { at: host, reply: dst=172.17.0.2, status: [ASSURED] } }",
      "host tracks any flow, answered by dst=172.17.0.2, ASSURED",
      "host tracked icmp src=172.17.0.2 dst=203.0.113.10 type=8 code=0 id=1 | icmp src=203.0.113.10 dst=192.168.65.3 type=0 code=0 id=1 SEEN_REPLY SRC_NAT",
    ],
    [
      "says that nothing was tracked",
      "same-bridge-nf-off.yaml",
      "{ conntrack: { at: host } }",
      "host tracks any flow",
      "host tracked no flow",
    ],
  ])("%s", (_, name, expectation, text, detail) => {
    expect(judge(name, expectation)).toEqual([{ text, holds: false, detail }]);
  });
});

describe("an expectation that holds", () => {
  it("says what met it", () => {
    expect(judge("container-to-internet.yaml", "{ packet: icmp echo reply, delivered: c1 }")).toEqual([
      { text: "icmp echo reply is delivered in c1", holds: true, detail: "packet #8: ping id 1" },
    ]);
  });

  it("sees a packet as it is where it meets a rule, not as it ends", () => {
    const [before, after] = judge(
      "published-port.yaml",
      "{ packet: udp, destination: 192.168.65.3, matched: { at: host, rule: nat DOCKER 1 } }",
      "{ packet: udp, destination: 172.20.0.2, matched: { at: host, rule: filter DOCKER 1 } }",
    );
    expect([before?.holds, after?.holds]).toEqual([true, true]);
  });

  it("may be about frames that leave, and about MAC addresses", () => {
    const [leaves] = judge(
      "container-to-internet.yaml",
      "{ packet: icmp echo request, direction: out, at: c1/eth0, source_mac: 02:42:AC:11:00:02, destination_mac: 02:42:58:64:a1:03, length: 84, id: 1 }",
    );
    expect(leaves).toMatchObject({ holds: true, detail: "packet #1 at 0 ms" });
  });
});

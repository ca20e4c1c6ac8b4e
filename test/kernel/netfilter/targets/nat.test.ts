import { describe, expect, it } from "vitest";
import type { NatRange } from "../../../../src/kernel/nat/range.ts";
import type { Hook } from "../../../../src/kernel/netfilter/rule.ts";
import { formatIpv4, parseIpv4 } from "../../../../src/wire/address.ts";
import { udpPacket } from "../../../frames.ts";
import { contextOf, device, expectCanonical, flow, type Place, pool, refusal, targetOf } from "../one-rule.ts";

const CHAIN: Readonly<Record<string, Place>> = {
  prerouting: { table: "nat", chain: "PREROUTING" },
  input: { table: "nat", chain: "INPUT" },
  output: { table: "nat", chain: "OUTPUT" },
  postrouting: { table: "nat", chain: "POSTROUTING" },
};

/** What the target asks NAT to bind. */
function bindingOf(
  rule: string,
  hook: Hook,
  members: object = {},
): { verdict: string; range: NatRange | null; manip: string; masquerade: number } {
  let range: NatRange | null = null;
  let manip = "";
  const setup = (_packet: unknown, _connection: unknown, asked: NatRange, kind: string): string => {
    range = asked;
    manip = kind;
    return "ACCEPT";
  };
  const context = contextOf(hook, { nat: { setup }, ...members });
  context.in = hook === "prerouting" || hook === "input" ? device("eth0", 3) : null;
  context.out = hook === "postrouting" || hook === "output" ? device("eth1", 4) : null;
  const packet = udpPacket(pool);
  const connection = flow();
  packet.connection = connection;
  const verdict = targetOf(rule, CHAIN[hook]!).apply(packet, context);
  return { verdict, range, manip, masquerade: connection.masqueradeDevice };
}

const range = (fields: Partial<NatRange>): NatRange => ({
  addresses: null,
  ports: null,
  random: "no",
  persistent: false,
  basePort: null,
  ...fields,
});
const addresses = (min: string, max = min): NatRange["addresses"] => ({ min: parseIpv4(min), max: parseIpv4(max) });

describe("the target DNAT", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-p tcp -j DNAT --to-destination 1.1.1.1:80-80", "-p tcp -j DNAT --to-destination 1.1.1.1:80"],
        ["-p tcp -j DNAT --to-destination 1.1.1.1-1.1.1.1:ssh", "-p tcp -j DNAT --to-destination 1.1.1.1:22"],
        [
          "-p tcp -j DNAT --to 1.1.1.1:ftp-data --persistent --random",
          "-p tcp -j DNAT --to-destination 1.1.1.1:20 --random --persistent",
        ],
        [
          "-p tcp -j DNAT --to-destination 1.1.1.1:1000-2000/ssh",
          "-p tcp -j DNAT --to-destination 1.1.1.1:1000-2000/22",
        ],
        "-p icmp -j DNAT --to-destination 1.1.1.1:80",
        "-p tcp -j DNAT --to-destination :80",
        "-j DNAT --to-destination 1.1.1.1-1.1.1.10",
      ],
      CHAIN.prerouting,
    );
  });

  it("asks NAT for its addresses and ports as new destination", () => {
    const rule = "-p tcp -j DNAT --to-destination 1.1.1.1-1.1.1.9:6000-6009/90 --random --persistent";
    expect(bindingOf(rule, "prerouting")).toMatchObject({
      verdict: "ACCEPT",
      manip: "destination",
      range: range({
        addresses: addresses("1.1.1.1", "1.1.1.9"),
        ports: { min: 6000, max: 6009 },
        basePort: 90,
        random: "random",
        persistent: true,
      }),
    });
    expect(bindingOf("-p tcp -j DNAT --to-destination :80", "output").range).toEqual(
      range({ ports: { min: 80, max: 80 } }),
    );
  });

  it("refuses what iptables refuses", () => {
    const nat = CHAIN.prerouting!;
    expect(refusal("-j DNAT", nat)).toBe('4 "DNAT" | -j DNAT with --to-destination');
    expect(refusal("-j DNAT --to-destination 1.1.1.1:80", nat)).toMatch(
      /^26 "1.1.1.1:80" \| ports only in a rule with -p tcp/,
    );
    expect(refusal("-p tcp -j DNAT --to-destination 1.1.1.1:80-70", nat)).toMatch(/^41 "80-70" \| a port range/);
    expect(refusal("-p tcp -j DNAT --to-destination 1.1.1.1:", nat)).toBe('41 "" | a port (0-65535 or a service name)');
    expect(refusal("-p tcp -j DNAT --to-destination 1.1.1.1:80/5", nat)).toMatch(/^44 "5" \| a base port only behind/);
    expect(refusal("-p tcp -j DNAT --to-destination 1.1.1.1:80-90/0", nat)).toMatch(/^47 "0" \| a base port/);
    expect(refusal("-p tcp -j DNAT --to-destination 1.1.1.1:10-ssh", nat)).toBe('44 "ssh" | a port number (0-65535)');
    expect(refusal("-p tcp -j DNAT --to-destination nohost", nat)).toBe('33 "nohost" | an IPv4 address');
    expect(refusal("-j DNAT --to-destination 1.1.1.1 --to-destination 2.2.2.2", nat)).toBe(
      '34 "--to-destination" | --to-destination once',
    );
    expect(refusal("-j DNAT --to-destination 1.1.1.1 --random-fully", nat)).toMatch(/^34 "--random-fully"/);
  });
});

describe("the target SNAT", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        [
          "-p tcp -j SNAT --to 1.1.1.1:1000 --persistent --random-fully --random",
          "-p tcp -j SNAT --to-source 1.1.1.1:1000 --random --random-fully --persistent",
        ],
        "-p tcp -j SNAT --to-source 1.1.1.1-1.1.1.4:1000-2000",
        "-j SNAT --to-source 1.1.1.1",
      ],
      CHAIN.postrouting,
    );
  });

  it("asks NAT for its addresses and ports as new source", () => {
    expect(bindingOf("-p udp -j SNAT --to-source 1.1.1.1:10-20 --random-fully", "postrouting")).toMatchObject({
      verdict: "ACCEPT",
      manip: "source",
      range: range({ addresses: addresses("1.1.1.1"), ports: { min: 10, max: 20 }, random: "fully" }),
    });
    expect(bindingOf("-j SNAT --to-source 1.1.1.1", "input").manip).toBe("source");
  });

  it("refuses what iptables refuses, and a base port, which iptables forgets", () => {
    expect(refusal("-j SNAT --random", CHAIN.postrouting)).toBe('4 "SNAT" | -j SNAT with --to-source');
    expect(refusal("-p tcp -j SNAT --to-source 1.1.1.1:1-2/3", CHAIN.postrouting)).toMatch(
      /^40 "3" \| a base port only/,
    );
  });
});

describe("the target MASQUERADE", () => {
  const masqueradeAddress = (): number => parseIpv4("192.168.1.10");

  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-p udp -j MASQUERADE --random --to-ports 1024-65535", "-p udp -j MASQUERADE --to-ports 1024-65535 --random"],
        "-j MASQUERADE --random --random-fully",
        "-j MASQUERADE",
      ],
      CHAIN.postrouting,
    );
  });

  it("takes the address of the device it leaves by and remembers the device", () => {
    expect(bindingOf("-p udp -j MASQUERADE --to-ports 1024-2000", "postrouting", { masqueradeAddress })).toEqual({
      verdict: "ACCEPT",
      manip: "source",
      masquerade: 4,
      range: range({ addresses: addresses("192.168.1.10"), ports: { min: 1024, max: 2000 } }),
    });
  });

  it("drops where the device has no address", () => {
    expect(bindingOf("-j MASQUERADE", "postrouting", { masqueradeAddress: () => 0 })).toMatchObject({
      verdict: "DROP",
      range: null,
    });
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j MASQUERADE --to-ports 10", CHAIN.postrouting)).toMatch(/^26 "10" \| ports only/);
    expect(refusal("-p udp -j MASQUERADE --to-ports 1024-65536", CHAIN.postrouting)).toBe(
      '38 "65536" | a port number (0-65535)',
    );
    expect(refusal("-j MASQUERADE", CHAIN.input)).toBe(
      '4 "MASQUERADE" | MASQUERADE only in chains that are reached from POSTROUTING',
    );
  });
});

describe("the target REDIRECT", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-p tcp -j REDIRECT --to-port ssh", "-p tcp -j REDIRECT --to-ports 22"],
        ["-p udp -j REDIRECT --to-ports 512-512", "-p udp -j REDIRECT --to-ports 512"],
        "-p tcp -j REDIRECT --to-ports 42-1234 --random",
        "-j REDIRECT",
      ],
      CHAIN.output,
    );
  });

  it("takes the first address of the device it came in on", () => {
    const members = { primaryAddress: ({ index }: { index: number }) => parseIpv4(`10.9.9.${index}`) };
    const { range: asked, manip } = bindingOf("-p tcp -j REDIRECT --to-ports 3128", "prerouting", members);
    expect([formatIpv4(asked!.addresses!.min), asked!.ports, manip]).toEqual([
      "10.9.9.3",
      { min: 3128, max: 3128 },
      "destination",
    ]);
  });

  it("takes 127.0.0.1 for what is sent here", () => {
    expect(bindingOf("-j REDIRECT", "output").range).toEqual(range({ addresses: addresses("127.0.0.1") }));
  });

  it("drops where the device has no address", () => {
    expect(bindingOf("-j REDIRECT", "prerouting", { primaryAddress: () => 0 })).toMatchObject({
      verdict: "DROP",
      range: null,
    });
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-j REDIRECT --to-ports 42", CHAIN.output)).toMatch(/^24 "42" \| ports only/);
    expect(refusal("-p tcp -j REDIRECT --to-ports 42-1234/567", CHAIN.output)).toBe(
      '34 "1234/567" | a port number (0-65535)',
    );
  });
});

describe("the target NETMAP", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical(
      [
        ["-j NETMAP --to 1.2.3.4", "-j NETMAP --to 1.2.3.4/32"],
        ["-j NETMAP --to 1.2.3.4/255.255.0.0", "-j NETMAP --to 1.2.0.0/16"],
      ],
      CHAIN.prerouting,
    );
  });

  it("exchanges the network and keeps the host bits of destination or source", () => {
    const rule = "-j NETMAP --to 172.16.5.0/24";
    expect(bindingOf(rule, "prerouting")).toMatchObject({
      manip: "destination",
      range: { addresses: addresses("172.16.5.2") },
    });
    expect(bindingOf(rule, "output").manip).toBe("destination");
    expect(bindingOf(rule, "postrouting")).toMatchObject({
      manip: "source",
      range: { addresses: addresses("172.16.5.1") },
    });
    expect(bindingOf(rule, "input").manip).toBe("source");
  });

  it("refuses what iptables refuses, and a mask with holes", () => {
    expect(refusal("-j NETMAP", CHAIN.prerouting)).toBe('4 "NETMAP" | -j NETMAP with --to');
    expect(refusal("-j NETMAP --to 1.2.3.4/255.0.255.0", CHAIN.prerouting)).toMatch(/a network with a prefix length/);
  });
});

import { describe, expect, test } from "vitest";
import { runLab } from "../../src/scenario/lab.ts";
import type { LabCase, LabStep } from "../../src/scenario/lab-case.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { readCase } from "./cases.ts";

/** What Linux 6.18 answered to each of these cases; `hex` texts are bytes that its taps showed. */

const MAC = { a: "02:00:00:00:0a:01", r0: "02:00:00:00:01:01", r1: "02:00:00:00:01:02", b: "02:00:00:00:0b:01" };
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const A = "10.0.1.2";
const B = "10.0.2.2";
const R0 = "10.0.1.1";
const udp = { sport: 40_000, dport: 9999, size: 8 };
const echo = { type: 8, code: 0, id: 7, seq: 1, size: 8 };

interface Settings {
  readonly sysctls?: Record<string, number>;
  readonly rules?: string;
  readonly routes?: string[];
  readonly policy?: Record<string, unknown>[];
}

/** a -- r -- b, where r forwards. */
function line(steps: unknown[], { sysctls, rules, routes, policy }: Settings = {}): LabCase {
  return {
    namespaces: {
      a: { devs: { eth0: { mac: MAC.a } }, addrs: [["eth0", `${A}/24`]], routes: ["default via 10.0.1.1 dev eth0"] },
      r: {
        sysctls: { "net.ipv4.ip_forward": 1, ...sysctls },
        devs: { e0: { mac: MAC.r0 }, e1: { mac: MAC.r1 } },
        addrs: [
          ["e0", `${R0}/24`],
          ["e1", "10.0.2.1/24"],
        ],
        rules: rules ?? "",
        routes: routes ?? [],
        policy: policy ?? [],
      },
      b: { devs: { eth0: { mac: MAC.b } }, addrs: [["eth0", `${B}/24`]], routes: ["default via 10.0.2.1 dev eth0"] },
    },
    veths: [
      ["a/eth0", "r/e0"],
      ["r/e1", "b/eth0"],
    ],
    steps,
  } as unknown as LabCase;
}

/** A frame from a to the router. */
const frame = (ip: Record<string, unknown>, rest: Record<string, unknown>, to = MAC.r0) => ({
  op: "frame",
  at: "a/eth0",
  frame: { eth: { src: MAC.a, dst: to }, ip: { src: A, dst: B, ...ip }, ...rest },
});

const arp = (spa: string, tpa: string, more: Record<string, unknown> = {}, to = BROADCAST) => ({
  op: "frame",
  at: "a/eth0",
  frame: { eth: { src: MAC.a, dst: to }, arp: { op: "request", spa, tpa, ...more } },
});

/** Frames of the last step that arrive at `place`, as hexadecimal text from the network header on. */
function arrivals(lab: LabCase, namespace: string): string[] {
  const last = runLab(lab).steps.at(-1)!;
  return last.frames.filter(({ ns, dir }) => ns === namespace && dir === "in").map(({ hex }) => hex.slice(28));
}

const options = (hex: string): string => hex.slice(40, ((Number.parseInt(hex[1]!, 16) * 4) << 1) >>> 0);
const icmpOf = (hex: string): string => hex.slice(Number.parseInt(hex[1]!, 16) * 8);
const warm = { op: "raw", ns: "a", pkt: { ip: { src: A, dst: B }, icmp: { ...echo, id: 99 } } } as unknown as LabStep;

describe("IPv4 options", () => {
  test("a forwarded packet records the address that it leaves by", () => {
    const [seen] = arrivals(line([warm, frame({ opts: "0707040000000000" }, { udp })]), "b");
    expect(options(seen!)).toBe("0707080a00020100");
  });

  test("a forwarded time stamp keeps the address of the device that the packet came in on", () => {
    const [seen] = arrivals(line([warm, frame({ opts: "440c05010000000000000000" }, { udp })]), "b");
    expect(options(seen!)).toMatch(/^440c0d010a000101/);
  });

  test("an echo reply carries the options of its request, filled in", () => {
    const [seen] = arrivals(line([warm, frame({ dst: R0, opts: "0707040000000000" }, { icmp: echo })]), "a");
    expect(options(seen!)).toBe("0707080a00010100");
  });

  test("a full time stamp counts its overflow", () => {
    const [seen] = arrivals(line([warm, frame({ opts: "4408090000000001" }, { udp })]), "b");
    expect(options(seen!)).toBe("4408091000000001");
  });

  test("what stands behind the end of the options is blanked", () => {
    const [seen] = arrivals(line([warm, frame({ opts: "0100ffff" }, { udp })]), "b");
    expect(options(seen!)).toBe("01000000");
  });

  test.each([
    ["a record route whose pointer lies before its data", "07070300000000", 22],
    ["a record route without room for an address", "07070600000000", 22],
    ["a second record route", "0707040000000007070400000000", 27],
    ["a time stamp with addresses and no room for one", "440805010000000000", 22],
    ["a time stamp that has overflowed fifteen times", "440809f000000000", 23],
    ["a short router alert", "940300", 21],
  ])("%s is a parameter problem", (_what, opts, pointer) => {
    const [seen] = arrivals(line([warm, frame({ opts }, { udp })]), "a");
    expect(icmpOf(seen!).slice(0, 4)).toBe("0c00");
    expect(Number.parseInt(icmpOf(seen!).slice(8, 10), 16)).toBe(pointer);
  });

  test("a source route is followed where accept_source_route allows it", () => {
    const sysctls = { "net.ipv4.conf.all.accept_source_route": 1, "net.ipv4.conf.e0.accept_source_route": 1 };
    const routed = frame({ dst: R0, opts: "8307040a000202" }, { udp });
    expect(arrivals(line([warm, routed], { sysctls }), "b")[0]!.slice(32, 40)).toBe("0a000202");
    expect(arrivals(line([warm, routed]), "b")).toEqual([]);
  });
});

describe("broadcast and multicast", () => {
  const bind = (id: string, address: string) => ({ op: "udp", ns: "r", id, bind: [address, 9999] });
  const heard = (destination: string): number[] => {
    const sockets = ["0.0.0.0", R0, "10.0.1.255", "224.0.0.1"];
    const steps = [
      ...sockets.map((address, i) => bind(`s${i}`, address)),
      frame({ dst: destination }, { udp }, BROADCAST),
    ];
    const all = runLab(line([...steps, ...sockets.map((_, i) => ({ op: "recv", id: `s${i}` }))])).steps;
    return all.slice(-4).map(({ result }) => (result!["got"] as unknown[]).length);
  };

  test("every socket that may have it gets a copy", () => {
    expect(heard("10.0.1.255")).toEqual([1, 0, 1, 0]);
    expect(heard("255.255.255.255")).toEqual([1, 0, 0, 0]);
    expect(heard("224.0.0.1")).toEqual([1, 0, 0, 1]);
  });

  test("a socket needs SO_BROADCAST for 255.255.255.255, too", () => {
    const open = { op: "udp", ns: "a", id: "c", bind: ["0.0.0.0", 40_000] };
    const send = { op: "send", id: "c", size: 8, to: ["255.255.255.255", 9999] };
    expect(runLab(line([open, send])).steps[1]!.result).toEqual({ err: "EACCES" });
  });

  test("a datagram to a group leaves with TTL 1 and, for all hosts, is heard at home", () => {
    const steps = (to: string) => [
      { op: "udp", ns: "a", id: "l", bind: ["0.0.0.0", 9999] },
      { op: "udp", ns: "a", id: "c", bind: ["0.0.0.0", 40_000] },
      { op: "send", id: "c", size: 8, to: [to, 9999] },
    ];
    expect(arrivals(line(steps("239.1.1.1")), "r")[0]!.slice(16, 18)).toBe("01");
    const got = (to: string) => runLab(line([...steps(to), { op: "recv", id: "l" }])).steps.at(-1)!.result?.["got"];
    expect(got("224.0.0.1")).toHaveLength(1);
    expect(got("239.1.1.1")).toHaveLength(0);
  });

  test("bc_forwarding sends a directed broadcast on", () => {
    const conf = "net.ipv4.conf";
    const sysctls = { [`${conf}.all.bc_forwarding`]: 1, [`${conf}.e0.bc_forwarding`]: 1 };
    const directed = frame({ dst: "10.0.2.255" }, { udp });
    expect(arrivals(line([directed], { sysctls }), "b")).toHaveLength(1);
    expect(arrivals(line([directed]), "b")).toHaveLength(0);
  });
});

describe("refusals", () => {
  test("one sender hears of five refused routes at once", () => {
    const steps = Array.from({ length: 8 }, (_, i) => frame({ dst: `9.9.9.${i}` }, { udp }));
    const answers = runLab(line(steps)).steps.map(({ frames }) =>
      frames.some(({ ns, dir }) => ns === "a" && dir === "in"),
    );
    expect(answers).toEqual([true, true, true, true, true, false, false, false]);
  });

  test("an ICMP type that nobody assigned among the errors is not answered with one", () => {
    const answered = (type: number) =>
      arrivals(line([warm, frame({ ttl: 1 }, { icmp: { ...echo, type } })]), "a").length;
    expect([0, 1, 2, 6, 7, 8, 9, 10, 12, 13, 18, 19].filter((type) => answered(type) > 0)).toEqual([0, 8, 13, 18]);
  });

  test("reverse path filtering asks policy rules as for a packet of this host", () => {
    const setting = {
      sysctls: { "net.ipv4.conf.all.rp_filter": 1 },
      policy: [{ iif: "e0", table: 100, prio: 10 }],
      routes: ["default via 10.0.1.2 dev e0 table 100"],
    };
    expect(arrivals(line([warm, frame({ src: "8.8.8.8", dst: R0 }, { udp })], setting), "a")).toEqual([]);
  });
});

describe("ARP", () => {
  const known = (lab: LabCase) => (runLab(lab).final.neigh!["r"] as { ip: string }[]).map(({ ip }) => ip);

  test("arp_filter keeps silent where the way back leads elsewhere", () => {
    const sysctls = { "net.ipv4.conf.all.arp_filter": 1 };
    expect(arrivals(line([arp("10.0.2.7", R0)], { sysctls }), "a")).toHaveLength(0);
    expect(arrivals(line([arp(A, R0)], { sysctls }), "a")).toHaveLength(1);
  });

  test("arp_ignore 2 answers a probe without a sender", () => {
    const sysctls = { "net.ipv4.conf.e0.arp_ignore": 2 };
    expect(arrivals(line([arp("0.0.0.0", R0)], { sysctls }), "a")).toHaveLength(1);
    expect(arrivals(line([arp("10.0.9.9", R0)], { sysctls }), "a")).toHaveLength(0);
  });

  test("arp_accept 2 learns announcements of its own subnet only", () => {
    const steps = [arp("10.0.1.20", "10.0.1.20"), arp("10.0.9.20", "10.0.9.20")];
    expect(known(line(steps, { sysctls: { "net.ipv4.conf.e0.arp_accept": 1 } }))).toEqual(["10.0.1.20", "10.0.9.20"]);
    expect(known(line(steps, { sysctls: { "net.ipv4.conf.e0.arp_accept": 2 } }))).toEqual(["10.0.1.20"]);
  });

  test("a proxy answers a broadcast within 0.8 s and a unicast at once", () => {
    const setting = { sysctls: { "net.ipv4.conf.e0.proxy_arp": 1 } };
    expect(arrivals(line([arp(A, B, {}, MAC.r0)], setting), "a")).toHaveLength(1);
    const asked = runLab(line([arp(A, B), { op: "sleep", ms: 900 }], setting)).steps.flatMap(({ frames }) => frames);
    expect(asked.filter(({ ns, dir }) => ns === "a" && dir === "in")).toHaveLength(1);
  });
});

describe("checksums and NAT", () => {
  const rules = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o e1 -j MASQUERADE\nCOMMIT\n";
  const init = "9c40270f00000000000000000100001411223344" + "0000ffff0001000100000001";

  function sctp(): string {
    const bytes = Uint8Array.from(init.match(/../g)!, (byte) => Number.parseInt(byte, 16));
    const view = new DataView(bytes.buffer);
    view.setUint32(8, crc32c(view, 0, bytes.length, 8), true);
    return Buffer.from(bytes).toString("hex");
  }

  test("CRC-32C of the check string is e3069283", () => {
    const check = new TextEncoder().encode("123456789");
    expect(crc32c(new DataView(check.buffer), 0, check.length, 100)).toBe(0xe3069283);
  });

  test("a masqueraded SCTP packet has a right CRC32c, one with a wrong CRC is INVALID and stays as it is", () => {
    const right = arrivals(line([warm, frame({}, { proto: 132, raw: sctp() })], { rules }), "b")[0]!;
    expect(right.slice(24, 32)).toBe("0a000201");
    const wrong = arrivals(line([warm, frame({}, { proto: 132, raw: init })], { rules }), "b")[0]!;
    expect(wrong.slice(24, 32)).toBe("0a000102");
  });

  test("UDP-Lite is INVALID to conntrack", () => {
    const raw = "9c40270f00080000";
    const [seen] = arrivals(line([warm, frame({}, { proto: 136, raw })], { rules }), "b");
    expect(seen!.slice(24, 32)).toBe("0a000102");
  });
});

describe("bridges", () => {
  const bridged = (rules: string, steps: unknown[]): LabCase =>
    ({
      namespaces: {
        h: {
          devs: { br0: { type: "bridge", mac: MAC.r0 }, va: { master: "br0" }, vb: { master: "br0" } },
          addrs: [["br0", "10.0.1.1/24"]],
          rules,
        },
        a: { devs: { eth0: { mac: MAC.a } }, addrs: [["eth0", `${A}/24`]] },
        b: { devs: { eth0: { mac: MAC.b } }, addrs: [["eth0", "10.0.1.3/24"]] },
      },
      veths: [
        ["h/va", "a/eth0"],
        ["h/vb", "b/eth0"],
      ],
      steps,
    }) as unknown as LabCase;

  test("the RST of a bridged REJECT leaves by the port it came from, under the MAC address it was sent to", () => {
    const rules = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\nCOMMIT\n";
    const syn = frame({ dst: "10.0.1.3" }, { tcp: { sport: 40_000, dport: 80, flags: "S" } }, MAC.b);
    const { frames } = runLab(bridged(rules, [syn])).steps[0]!;
    expect(frames.map(({ ns, dev, dir }) => `${ns}/${dev} ${dir}`)).toEqual([
      "a/eth0 out",
      "h/va in",
      "h/va out",
      "a/eth0 in",
    ]);
    expect(frames[3]!.hex.slice(0, 24)).toBe(`${MAC.a}${MAC.b}`.replaceAll(":", ""));
  });

  test("an ARP frame too short for its fixed part is not bridged", () => {
    const short = { op: "frame", at: "a/eth0", frame: `${MAC.b}${MAC.a}`.replaceAll(":", "") + "080600" };
    expect(arrivals(bridged("", [short]), "b")).toEqual([]);
  });
});

test("a frame for a cable whose other end is down never leaves", () => {
  const down = { op: "link", dev: "b/eth0", up: false };
  const lab = line([warm, down, frame({}, { udp })]);
  expect(runLab(lab).steps[2]!.frames.some(({ dev, dir }) => dev === "e1" && dir === "out")).toBe(false);
});

test("steps begin at the times that they are given: a second redirect follows the first after 40 ms", () => {
  const step = readCase("redirects-and-errors-share-a-bucket").steps![0]!;
  const lab = { ...readCase("redirects-and-errors-share-a-bucket"), steps: [step, step] };
  const redirects = (times?: number[]) => {
    const { steps } = runLab(lab, undefined, times);
    const sent = steps.flatMap(({ frames }) => frames).filter(({ ns, dir }) => ns === "r" && dir === "out");
    // Behind Ethernet and IPv4 with no options: ICMP, type 5, code 1.
    return sent.filter(({ hex }) => hex.slice(46, 48) === "01" && hex.slice(68, 72) === "0501").length;
  };
  expect(redirects()).toBe(1);
  expect(redirects([0, 39])).toBe(1);
  expect(redirects([0, 41])).toBe(2);
});

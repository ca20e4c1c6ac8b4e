import { describe, expect, test } from "vitest";
import type { LabStep } from "../../../src/scenario/lab-case.ts";
import type { PacketSpec } from "../../../src/scenario/lab-packet.ts";
import {
  CLIENT,
  dropsOf,
  entries,
  entriesAt,
  framesOn,
  fromClient,
  fromServer,
  INNER,
  OUTER,
  type RouterOptions,
  runRouter,
  SERVER,
  SERVER_MAC,
  sleep,
  stateOf,
  TRACKING,
  table,
  toClient,
  toServer,
  udp,
} from "./router.ts";

const nat = (...rules: string[]): string => table("nat", ...rules);
const send = (sport: number, to = SERVER, from = CLIENT): LabStep => fromClient(udp(`${from}:${sport}`, `${to}:53`));
const rulesStep = (text: string): LabStep => ({ op: "rules", ns: "router", text });
const others = Array.from({ length: 40 }, (_, i): [string, string, string] => [
  "eth1",
  `10.0.2.${10 + i}`,
  SERVER_MAC,
]).filter(([, address]) => address !== SERVER);
/** `address:port` that the server's cable shows as the source of each datagram, in order. */
const sources = (steps: LabStep[], options: RouterOptions): string[] =>
  runRouter(steps, { neigh: others, ...options }).steps.flatMap((step) =>
    toServer(step).map((line) => line.split(" ")[1]!),
  );
const portOf = (end: string): number => Number(end.split(":")[1]);

describe("5 NAT", () => {
  test("NAT is fixed at the first packet, per manip", () => {
    const change = rulesStep(nat("-A POSTROUTING -p udp -j SNAT --to-source 10.0.2.3"));
    const rules = nat("-A POSTROUTING -p udp -j SNAT --to-source 10.0.2.2");
    expect(sources([send(5000), change, send(5000), send(5001)], { rules })).toEqual([
      "10.0.2.2:5000",
      "10.0.2.2:5000",
      "10.0.2.3:5001",
    ]);
  });

  const published = nat(
    `-A PREROUTING -d ${INNER}/32 -p udp -m udp --dport 8080 -j DNAT --to-destination ${SERVER}:53`,
  );
  const twoWays = [send(5000), fromClient(udp(`${CLIENT}:5000`, `${INNER}:8080`))];

  test("No rule match → null binding: the same search restricted to the packet's own address. So a reply-tuple clash changes the source port even without any SNAT rule (two ways to the same container port, one by DNAT)", () => {
    const seen = sources(twoWays, { rules: published });
    expect(seen[0]).toBe(`${CLIENT}:5000`);
    expect(seen[1]).toMatch(`${CLIENT}:`);
    expect(portOf(seen[1]!)).not.toBe(5000);
    expect(portOf(seen[1]!)).toBeGreaterThanOrEqual(1024);
    expect(sources(twoWays.slice(1), { rules: published })).toEqual([`${CLIENT}:5000`]);
  });

  test("Without a nat table there is no null binding (the entry has neither *_NAT_DONE bit)", () => {
    const status = (rules: string) => entries(runRouter([send(5000)], { rules }))[0]!.status;
    expect(status(TRACKING)).toEqual(["CONFIRMED"]);
    expect(status(TRACKING + nat())).toEqual(["CONFIRMED", "SRC_NAT_DONE", "DST_NAT_DONE"]);
  });
});

describe("5 Source selection", () => {
  test("(1) if the original tuple is in range and its reply tuple is free, keep it", () => {
    const rules = nat("-A POSTROUTING -p udp -j SNAT --to-source 10.0.1.2-10.0.1.250:5000-5999");
    expect(sources([send(5000), send(5999)], { rules })).toEqual([`${CLIENT}:5000`, `${CLIENT}:5999`]);
    expect(portOf(sources([send(6000)], { rules })[0]!)).toBeLessThan(6000);
  });

  test("(2) if it is out of range, take the mapping that this source ip:port/proto already has, if free – hence one client socket keeps its mapped port towards all peers", () => {
    const rules = nat("-A POSTROUTING -p udp -j SNAT --to-source 10.0.2.2:20000-29999");
    const peers = [SERVER, "10.0.2.10", "10.0.2.11", "10.0.2.12"];
    const mapped = sources(
      peers.map((peer) => send(5000, peer)),
      { rules },
    );
    expect(mapped).toHaveLength(4);
    expect(new Set(mapped).size).toBe(1);
    const other = sources([send(5000), send(5001, "10.0.2.10")], { rules });
    expect(other[0]).not.toBe(other[1]);
  });

  test("(newest in-range entry only)", () => {
    const range = (ports: string) => nat(`-A POSTROUTING -p udp -j SNAT --to-source 10.0.2.2:${ports}`);
    const steps = [
      send(5000),
      rulesStep(range("30000-39999")),
      send(5000, "10.0.2.10"),
      rulesStep(range("20000-39999")),
      send(5000, "10.0.2.11"),
    ];
    const [older, newer, third] = sources(steps, { rules: range("20000-29999") });
    expect(portOf(older!)).toBeLessThan(30_000);
    expect(portOf(newer!)).toBeGreaterThanOrEqual(30_000);
    expect(third).toBe(newer);
    const narrow = [...steps.slice(0, 3), rulesStep(range("20000-29999")), send(5000, "10.0.2.11")];
    expect(sources(narrow, { rules: range("20000-29999") })[2]).toBe(older);
  });

  test("if free: a mapping that clashes is not taken, nor an older one", () => {
    const range = (ports: string, match = "") =>
      nat(`-A POSTROUTING -p udp ${match} -j SNAT --to-source 10.0.2.2:${ports}`);
    const first = [send(5000), rulesStep(range("30000-30000")), send(5000, "10.0.2.10")];
    const taken = [send(6000, "10.0.2.11", "10.0.1.8"), rulesStep(range("20000-39999")), send(5000, "10.0.2.11")];
    const seen = sources([...first, ...taken], { rules: range("20000-29999") });
    expect(seen.slice(1, 3)).toEqual(["10.0.2.2:30000", "10.0.2.2:30000"]);
    expect(seen[3]).not.toBe(seen[2]);
    expect(seen[3]).not.toBe(seen[0]);
  });

  test("(4) keep the port if allowed and free", () => {
    const rules = nat("-A POSTROUTING -p udp -j SNAT --to-source 10.0.2.2:5000-5999");
    const seen = sources([send(5000), send(5999), send(5000, SERVER, "10.0.1.8"), send(4999)], { rules });
    expect(seen.slice(0, 2)).toEqual(["10.0.2.2:5000", "10.0.2.2:5999"]);
    expect(portOf(seen[2]!)).not.toBe(5000);
    for (const end of seen) expect(portOf(end) >= 5000 && portOf(end) <= 5999).toBe(true);
  });
});

describe("5 MASQUERADE", () => {
  const rules = nat("-A POSTROUTING -o eth1 -j MASQUERADE");
  const addrs: [string, string][] = [
    ["eth1", "10.0.3.1/24"],
    ["eth1", "10.0.2.77/24"],
  ];
  const neigh: [string, string, string][] = [["eth1", "10.0.3.9", SERVER_MAC]];
  const through = (via: string, src = "") => {
    const options = { rules, addrs, neigh, routes: [`10.9.0.0/16 via ${via} dev eth1${src}`] };
    return sources([send(5000, "10.9.0.1")], options);
  };

  test("address: primary address on the outgoing device in the next hop's subnet", () => {
    expect(through("10.0.3.9")).toEqual(["10.0.3.1:5000"]);
    expect(through(SERVER)).toEqual([`${OUTER}:5000`]);
  });

  test("else its first", () => {
    const options = {
      rules,
      addrs,
      neigh: [["eth1", "10.9.0.1", SERVER_MAC]] as [string, string, string][],
      routes: ["10.9.0.0/16 dev eth1"],
    };
    expect(sources([send(5000, "10.9.0.1")], options)).toEqual([`${OUTER}:5000`]);
  });

  test("the route's src is ignored", () => {
    expect(through("10.0.3.9", " src 10.0.2.77")).toEqual(["10.0.3.1:5000"]);
    expect(through(SERVER, " src 10.0.3.1")).toEqual([`${OUTER}:5000`]);
  });

  test("Link down deletes masqueraded entries; SNAT entries stay", () => {
    const both = nat(
      "-A POSTROUTING -p udp --sport 5000 -j MASQUERADE",
      "-A POSTROUTING -p udp -j SNAT --to-source 10.0.2.1",
    );
    const down: LabStep = { op: "link", dev: "router/eth1", up: false };
    const { steps } = runRouter([send(5000), send(5001), stateOf(), down, sleep(100), stateOf()], { rules: both });
    const ports = (step: number) =>
      entriesAt(steps[step]!)
        .map(({ orig }) => orig.sport)
        .sort();
    expect(ports(2)).toEqual([5000, 5001]);
    expect(ports(5)).toEqual([5001]);
  });
});

describe("5 REDIRECT", () => {
  test("PREROUTING → first address of the incoming device", () => {
    const rules = nat("-A PREROUTING -p udp -j REDIRECT --to-ports 99");
    const options = {
      rules,
      addrs: [
        ["eth0", "10.0.1.2/24"],
        ["eth0", "10.0.4.1/24"],
      ] as [string, string][],
    };
    expect(entries(runRouter([send(5000)], options))[0]!.reply).toMatchObject({ src: INNER, sport: 99 });
  });

  test("OUTPUT → 127.0.0.1", () => {
    const rules = nat("-A OUTPUT -p udp -j REDIRECT --to-ports 99");
    const steps: LabStep[] = [
      { op: "udp", ns: "router", id: "l", bind: ["0.0.0.0", 99] },
      { op: "udp", ns: "router", id: "c", bind: ["0.0.0.0", 5000] },
      { op: "send", id: "c", to: [SERVER, 53], size: 4 },
    ];
    const [entry] = entries(runRouter(steps, { rules }));
    expect(entry!.orig).toMatchObject({ src: OUTER, dst: SERVER, dport: 53 });
    expect(entry!.reply).toMatchObject({ src: "127.0.0.1", sport: 99 });
  });

  test("An OUTPUT DNAT keeps the source address already chosen, so without masquerade packets can leave with another interface's address", () => {
    const own: LabStep[] = [
      { op: "udp", ns: "router", id: "c", bind: ["0.0.0.0", 5000] },
      { op: "send", id: "c", to: [CLIENT, 53], size: 4 },
    ];
    const dnat = `-A OUTPUT -p udp -j DNAT --to-destination ${SERVER}`;
    expect(sources(own, { rules: nat(dnat) })).toEqual([`${INNER}:5000`]);
    expect(sources(own, { rules: nat(dnat, "-A POSTROUTING -o eth1 -j MASQUERADE") })).toEqual([`${OUTER}:5000`]);
  });
});

describe("5 ICMP errors", () => {
  const masqueraded = nat("-A POSTROUTING -o eth1 -p udp -j MASQUERADE --to-ports 7000");
  const inner: PacketSpec = udp(`${OUTER}:7000`, `${SERVER}:53`);

  test("are translated outer and inner, checksums of both layers valid afterwards", () => {
    const error = { ip: { src: "192.0.2.1", dst: OUTER }, icmp: { type: 3, code: 3, inner } };
    const { steps } = runRouter([send(5000), fromServer(error)], { rules: masqueraded });
    const [frame] = framesOn(steps[1]!.frames, "router/eth0");
    expect(frame!.text).toBe(`icmp 192.0.2.1 > ${CLIENT} 3/3 ttl 63`);
    const { quote } = frame!.ip!.icmp!;
    expect(quote!.text).toBe(`udp ${CLIENT}:5000 > ${SERVER}:53 ttl 64`);
    expect([frame!.ip!.valid, quote!.valid]).toEqual([true, true]);
  });

  test("of the other direction show the mapped address, too", () => {
    const reply = udp(`${SERVER}:53`, `${CLIENT}:5000`);
    const error = { ip: { src: CLIENT, dst: SERVER }, icmp: { type: 3, code: 3, inner: reply } };
    const answer = fromServer(udp(`${SERVER}:53`, `${OUTER}:7000`));
    const { steps } = runRouter([send(5000), answer, fromClient(error)], { rules: masqueraded });
    const [frame] = framesOn(steps[2]!.frames, "router/eth1");
    expect(frame!.text).toBe(`icmp ${OUTER} > ${SERVER} 3/3 ttl 63`);
    expect(frame!.ip!.icmp!.quote!.text).toBe(`udp ${SERVER}:53 > ${OUTER}:7000 ttl 64`);
    expect([frame!.ip!.valid, frame!.ip!.icmp!.quote!.valid]).toEqual([true, true]);
  });

  test("a redirect for a NATed flow is dropped", () => {
    const redirect = (quoted: PacketSpec) => ({
      ip: { src: SERVER, dst: quoted.ip.src },
      icmp: { type: 5, code: 1, gw: "10.0.2.77", inner: quoted },
    });
    const dropped = runRouter([send(5000), fromServer(redirect(inner))], { rules: masqueraded });
    expect(toClient(dropped.steps[1]!)).toEqual([]);
    expect(dropsOf(dropped.steps[1]!)).toEqual(["NETFILTER_DROP"]);
    const plain = runRouter([send(5000), fromServer(redirect(udp(`${CLIENT}:5000`, `${SERVER}:53`)))], {
      rules: TRACKING + nat(),
    });
    expect(toClient(plain.steps[1]!)).toEqual([`icmp ${SERVER} > ${CLIENT} 5/1 ttl 63`]);
  });
});

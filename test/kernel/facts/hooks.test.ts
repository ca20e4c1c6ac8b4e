import { describe, expect, test } from "vitest";
import { PRIORITY } from "../../../src/kernel/netfilter/hook-user.ts";
import type { LabStepResult } from "../../../src/scenario/lab-case.ts";
import {
  ALL_TABLES,
  CLIENT,
  chainsOf,
  echo,
  entries,
  fromClient,
  fromServer,
  hits,
  INNER,
  runRouter,
  SERVER,
  TRACKING,
  table,
  tcp,
  toClient,
  toServer,
  udp,
} from "./router.ts";

const FLOW = udp(`${CLIENT}:5000`, `${SERVER}:53`);
const chains = (text: string): string[] => text.split(", ");
const FORWARDED = chains(
  "raw PREROUTING, mangle PREROUTING, nat PREROUTING, mangle FORWARD, filter FORWARD, security FORWARD, mangle POSTROUTING, nat POSTROUTING",
);

const hooks = (step: LabStepResult): string[] =>
  step.trace.filter(({ hook, at }) => hook !== undefined && at === "enter").map(({ hook }) => String(hook));

describe("2 Hooks", () => {
  test("Priorities: defrag -400, raw -300, conntrack -200, mangle -150, DNAT -100, filter 0, SNAT 100, confirm at the end", () => {
    expect(PRIORITY).toEqual({
      defrag: -400,
      raw: -300,
      conntrack: -200,
      mangle: -150,
      natDestination: -100,
      filter: 0,
      natSource: 100,
      security: 150,
      confirm: 2 ** 31 - 1,
    });
  });

  test("forward: raw, mangle, nat PREROUTING → route → mangle, filter, security FORWARD → mangle, nat POSTROUTING", () => {
    const { steps } = runRouter([fromClient(FLOW)], { rules: ALL_TABLES });
    expect(chainsOf(steps[0]!)).toEqual(FORWARDED);
    expect(hooks(steps[0]!)).toEqual(["prerouting", "forward", "postrouting"]);
  });

  test("raw stands before conntrack and mangle behind it", () => {
    const seen = "-m conntrack --ctstate NEW";
    const rules = [
      table(
        "raw",
        "-A PREROUTING -m mark --mark 0 -j MARK --set-mark 1",
        "-A PREROUTING -p udp --dport 54 -j CT --notrack",
      ),
      table("mangle", `-A PREROUTING ${seen}`, "-A PREROUTING -m conntrack --ctstate UNTRACKED"),
    ].join("");
    const result = runRouter([fromClient(FLOW), fromClient(udp(`${CLIENT}:5000`, `${SERVER}:54`))], { rules });
    expect(hits(result, "PREROUTING", 1, "mangle")).toBe(1);
    expect(hits(result, "PREROUTING", 2, "mangle")).toBe(1);
    expect(entries(result)).toHaveLength(1);
  });

  test("TTL is decremented before FORWARD", () => {
    const rules = table("filter", "-A FORWARD -m ttl --ttl-eq 64", "-A FORWARD -m ttl --ttl-eq 63");
    const result = runRouter([fromClient(FLOW)], { rules });
    expect([hits(result, "FORWARD", 1), hits(result, "FORWARD", 2)]).toEqual([0, 1]);
  });

  test("TTL ≤ 1 is decided before FORWARD", () => {
    const { steps } = runRouter(
      [0, 1, 2].map((ttl) => fromClient(udp(`${CLIENT}:5000`, `${SERVER}:53`, { ttl }))),
      { rules: table("filter", "-A FORWARD -j DROP") },
    );
    expect(steps.map(hooks)).toEqual([
      ["prerouting", "output", "postrouting"],
      ["prerouting", "output", "postrouting"],
      ["prerouting", "forward"],
    ]);
    expect(steps.map((step) => toClient(step).length)).toEqual([1, 1, 0]);
  });

  test("MTU is decided before FORWARD", () => {
    const packet = (size: number) => fromClient(udp(`${CLIENT}:5000`, `${SERVER}:53`, { df: true }, size));
    const { steps } = runRouter([packet(1280 - 28), packet(1280 - 27)], {
      devs: { eth1: { mtu: 1280, mac: "02:00:00:00:01:02" } },
      rules: table("filter", "-A FORWARD -j DROP"),
    });
    expect(steps.map(hooks)).toEqual([
      ["prerouting", "forward"],
      ["prerouting", "output", "postrouting"],
    ]);
  });

  test("redirect is decided before FORWARD", () => {
    const { steps } = runRouter([fromClient(udp(`${CLIENT}:5000`, "10.0.1.77:53"))], {
      neigh: [["eth0", "10.0.1.77", "02:00:00:00:0c:77"]],
      rules: table("filter", "-A FORWARD -j DROP"),
    });
    expect(hooks(steps[0]!)).toEqual(["prerouting", "output", "postrouting", "forward"]);
    expect(toClient(steps[0]!)).toEqual([`icmp ${INNER} > ${CLIENT} 5/1 ttl 64`]);
  });

  test("in: … PREROUTING → mangle, filter, security, nat INPUT; iptables-nft registers security at 150, so there nat INPUT runs before security", () => {
    const { steps } = runRouter([fromClient(udp(`${CLIENT}:5000`, `${INNER}:53`))], { rules: ALL_TABLES });
    expect(chainsOf(steps[0]!).slice(0, 7)).toEqual(
      chains(
        "raw PREROUTING, mangle PREROUTING, nat PREROUTING, mangle INPUT, filter INPUT, nat INPUT, security INPUT",
      ),
    );
    expect(PRIORITY.security).toBe(150);
  });

  test("out: raw, mangle, nat, filter, security OUTPUT → mangle, nat POSTROUTING", () => {
    const { steps } = runRouter([{ op: "raw", ns: "router", pkt: udp("0.0.0.0:5000", `${SERVER}:53`) }], {
      rules: ALL_TABLES,
    });
    expect(chainsOf(steps[0]!)).toEqual(
      chains(
        "raw OUTPUT, mangle OUTPUT, nat OUTPUT, filter OUTPUT, security OUTPUT, mangle POSTROUTING, nat POSTROUTING",
      ),
    );
  });

  test("re-route after a mark change in mangle OUTPUT, not after one in filter OUTPUT", () => {
    const routes = [{ dst: "default", dev: "eth0", via: CLIENT, table: 100 }];
    const policy = [{ fwmark: 5, table: 100, prio: 50 }];
    const sent = { op: "raw", ns: "router", pkt: udp(`${INNER}:5000`, `${SERVER}:53`) };
    for (const [name, towards] of [
      ["mangle", "client"],
      ["filter", "server"],
    ] as const) {
      const rules =
        name === "mangle"
          ? table("mangle", "-A OUTPUT -j MARK --set-mark 5")
          : [
              table("mangle"),
              table("security", "-A OUTPUT -m mark --mark 5"),
              "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m mark --mark 0\nCOMMIT\n",
            ].join("");
      const { steps } = runRouter([sent], { routes, policy, rules });
      expect([toClient(steps[0]!).length, toServer(steps[0]!).length]).toEqual(towards === "client" ? [1, 0] : [0, 1]);
    }
  });

  test("re-route after an address change in nat OUTPUT", () => {
    const sent = { op: "raw", ns: "router", pkt: udp(`${INNER}:5000`, `${CLIENT}:53`) };
    const rules = table("nat", `-A OUTPUT -j DNAT --to-destination ${SERVER}`);
    const { steps } = runRouter([sent], { rules });
    expect(toClient(steps[0]!)).toEqual([]);
    expect(toServer(steps[0]!)).toEqual([`udp ${INNER}:5000 > ${SERVER}:53 ttl 64`]);
  });

  test("On lo it continues through raw/mangle PREROUTING and mangle/filter/security INPUT; the nat chains are not evaluated again", () => {
    const { steps } = runRouter(
      [
        { op: "udp", ns: "router", id: "l", bind: ["127.0.0.1", 53] },
        { op: "raw", ns: "router", pkt: udp("127.0.0.1:5000", "127.0.0.1:53") },
      ],
      { rules: ALL_TABLES },
    );
    expect(chainsOf(steps[1]!)).toEqual(
      chains(
        "raw OUTPUT, mangle OUTPUT, nat OUTPUT, filter OUTPUT, security OUTPUT, mangle POSTROUTING, nat POSTROUTING, " +
          "raw PREROUTING, mangle PREROUTING, mangle INPUT, filter INPUT, security INPUT",
      ),
    );
  });

  const tracked = (rules: string) => entries(runRouter([fromClient(FLOW)], { rules })).length;

  test("Conntrack is off in a namespace until a loaded rule needs it (ctstate match, NAT target…)", () => {
    expect(tracked("")).toBe(0);
    expect(tracked(table("filter", "-A FORWARD -p udp -j ACCEPT"))).toBe(0);
    expect(tracked(table("filter", "-A INPUT -m conntrack --ctstate NEW -j ACCEPT"))).toBe(1);
    expect(tracked(table("filter", "-A INPUT -m state --state NEW -j ACCEPT"))).toBe(1);
    expect(tracked(table("nat", "-A POSTROUTING -p tcp -j MASQUERADE"))).toBe(1);
    expect(tracked(table("nat", `-A PREROUTING -p tcp -j DNAT --to-destination ${SERVER}`))).toBe(1);
  });

  test("Conntrack is off in a namespace until a loaded rule needs it (CT)", () => {
    expect(tracked(table("raw", "-A PREROUTING -p tcp -j CT --notrack"))).toBe(0);
    expect(tracked(table("raw", "-A PREROUTING -p tcp -j CT --zone 0"))).toBe(1);
  });

  test("A nat table with only plain rules enables nothing and its chains are never entered", () => {
    const plain = table("nat", "-A PREROUTING -p udp -j ACCEPT", "-A POSTROUTING -p udp");
    const off = runRouter([fromClient(FLOW)], { rules: plain });
    expect(entries(off)).toEqual([]);
    expect(hits(off, "PREROUTING", 1, "nat")).toBe(0);
    expect(hits(off, "POSTROUTING", 1, "nat")).toBe(0);
    const on = runRouter([fromClient(FLOW)], { rules: plain + TRACKING });
    expect(hits(on, "PREROUTING", 1, "nat")).toBe(1);
    expect(hits(on, "POSTROUTING", 1, "nat")).toBe(1);
  });

  test("nat chains see only packets for which the hook's manip is not yet set up: the first of a flow, per hook", () => {
    const { steps } = runRouter([fromClient(FLOW), fromClient(FLOW)], { rules: ALL_TABLES });
    expect(chainsOf(steps[0]!).filter((line) => line.startsWith("nat"))).toEqual(["nat PREROUTING", "nat POSTROUTING"]);
    expect(chainsOf(steps[1]!).filter((line) => line.startsWith("nat"))).toEqual([]);
  });

  test("A second one-way packet is still NEW but skips nat", () => {
    const rules =
      table("filter", "-A FORWARD -m conntrack --ctstate NEW") +
      table("nat", "-A POSTROUTING -p udp", "-A POSTROUTING -p tcp -j MASQUERADE");
    const result = runRouter([fromClient(FLOW), fromClient(FLOW)], { rules });
    expect(hits(result, "FORWARD", 1)).toBe(2);
    expect(hits(result, "POSTROUTING", 1, "nat")).toBe(1);
  });

  const natOf = (step: LabStepResult): string[] => chainsOf(step).filter((line) => line.startsWith("nat"));

  test("Replies never enter nat chains", () => {
    const { steps } = runRouter([fromClient(FLOW), fromServer(udp(`${SERVER}:53`, `${CLIENT}:5000`))], {
      rules: ALL_TABLES,
    });
    expect(steps.map((step) => natOf(step).length)).toEqual([2, 0]);
  });

  test("RELATED errors never enter nat chains", () => {
    const error = { ip: { src: SERVER, dst: CLIENT }, icmp: { type: 3, code: 3, inner: FLOW } };
    const rules = ALL_TABLES.replace("-A FORWARD", "-A FORWARD -m conntrack --ctstate RELATED\n-A FORWARD");
    const result = runRouter([fromClient(FLOW), fromServer(error)], { rules });
    expect(hits(result, "FORWARD", 1)).toBe(1);
    expect(result.steps.map((step) => natOf(step).length)).toEqual([2, 0]);
  });

  test("INVALID packets never enter nat chains", () => {
    const rules = ALL_TABLES.replace("-A FORWARD", "-A FORWARD -m conntrack --ctstate INVALID\n-A FORWARD");
    const invalid = tcp(`${CLIENT}:5000`, `${SERVER}:80`, "SA");
    const result = runRouter([fromClient(invalid), fromClient(echo(CLIENT, SERVER))], { rules });
    expect(hits(result, "FORWARD", 1)).toBe(1);
    expect(result.steps.map((step) => natOf(step).length)).toEqual([0, 2]);
  });
});

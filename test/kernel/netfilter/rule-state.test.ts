import { describe, expect, it } from "vitest";
import { Namespace } from "../../../src/kernel/namespace.ts";
import type { Verdict } from "../../../src/kernel/netfilter/rule.ts";
import { parseRules } from "../../../src/kernel/netfilter/rule-text.ts";
import { TableWalk } from "../../../src/kernel/netfilter/table-walk.ts";
import { Fabric } from "../../../src/link/fabric.ts";
import type { Packet } from "../../../src/packet/packet.ts";
import { udpPacket } from "../../frames.ts";
import { pool } from "./one-rule.ts";

const SET = "-A INPUT -m recent --set --name seen\n";

function load(net: Namespace, table: string, rules: string): void {
  net.netfilter.load(parseRules(`*${table}\n${rules}COMMIT\n`, "rules"));
}

function walk(net: Namespace, packet: Packet): Verdict {
  return new TableWalk(net, net.netfilter.tables.get("filter")!, "input").run(packet, null, null);
}

describe("what rules share by name", () => {
  it("outlives a table that is loaded anew, and goes with the last rule that names it", () => {
    const net = new Namespace(new Fabric(), "n");
    load(net, "filter", SET);
    walk(net, udpPacket(pool));
    load(net, "filter", "-A INPUT -m recent --rcheck --name seen -j DROP\n");
    expect(walk(net, udpPacket(pool))).toBe("DROP");
    load(net, "mangle", "-A INPUT -m recent --rcheck --name seen\n");
    load(net, "filter", "-A INPUT -m recent --rcheck --name other -j DROP\n");
    load(net, "filter", "-A INPUT -m recent --rcheck --name seen -j DROP\n");
    expect(walk(net, udpPacket(pool))).toBe("DROP");
    load(net, "mangle", "");
    load(net, "filter", "");
    expect(net.ruleState.size).toBe(0);
    load(net, "filter", "-A INPUT -m recent --rcheck --name seen -j DROP\n");
    expect(walk(net, udpPacket(pool))).toBe("ACCEPT");
  });

  it("is emptied by a rule that counts more hits than the list has kept", () => {
    const net = new Namespace(new Fabric(), "n");
    load(net, "filter", SET);
    walk(net, udpPacket(pool));
    load(
      net,
      "filter",
      "-A INPUT -m recent --rcheck --name seen --hitcount 33\n-A INPUT -m recent --rcheck --name seen -j DROP\n",
    );
    expect(walk(net, udpPacket(pool))).toBe("ACCEPT");
  });
});

describe("a rule that stays while another is appended", () => {
  /** What 60 packets meet, the second half after a rule was appended or the table loaded anew. */
  function verdicts(change: "nothing" | "append" | "restore"): string {
    const net = new Namespace(new Fabric(), "n");
    const rule = "-A INPUT -m statistic --mode random --probability 0.5 -j DROP\n";
    load(net, "filter", rule);
    const half = () => Array.from({ length: 30 }, () => walk(net, udpPacket(pool))[0]).join("");
    const first = half();
    const append = "*filter\n-A INPUT -p tcp\nCOMMIT\n";
    if (change === "append") net.netfilter.load(parseRules(append, "rules", { onto: net.netfilter.tables }));
    if (change === "restore") load(net, "filter", rule);
    return `${first}${half()}`;
  }

  it("goes on as if nothing had happened, and begins anew when the table is restored", () => {
    expect(verdicts("append")).toBe(verdicts("nothing"));
    const restored = verdicts("restore");
    expect(restored.slice(30)).toBe(restored.slice(0, 30));
  });
});

describe("the option -f", () => {
  it.each([
    ["-f", 0, "ACCEPT"],
    ["-f", 0x2000, "ACCEPT"],
    ["-f", 0x2001, "DROP"],
    ["! -f", 0, "DROP"],
    ["! -f", 0x2000, "DROP"],
    ["! -f", 1, "ACCEPT"],
  ])("%s of a packet whose fragment word is %i says %s", (options, fragment, verdict) => {
    const net = new Namespace(new Fabric(), "n");
    load(net, "filter", `-A INPUT ${options} -j DROP\n`);
    expect(walk(net, udpPacket(pool, { fragment }))).toBe(verdict);
  });
});

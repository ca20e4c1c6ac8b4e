import { describe, expect, it } from "vitest";
import { Connection } from "../../../../src/kernel/conntrack/connection.ts";
import { ConnectionTable } from "../../../../src/kernel/conntrack/table.ts";
import { TcpTracking } from "../../../../src/kernel/conntrack/tcp-state.ts";
import { parseIpv4 } from "../../../../src/wire/address.ts";
import { rawPacket, udpPacket } from "../../../frames.ts";
import { attached, expectCanonical, pool, refusal } from "../one-rule.ts";

let id = 0;

function connection(port: number, source = "10.0.0.1"): Connection {
  const made = new Connection(++id, 0);
  made.original.set(parseIpv4(source), parseIpv4("10.0.0.2"), 17, port, 53);
  made.reply.set(parseIpv4("10.0.0.2"), parseIpv4(source), 17, 53, port);
  made.expires = 60e9;
  return made;
}

function packetOf(owner: Connection, source = "10.0.0.1") {
  const packet = udpPacket(pool, { source, sourcePort: owner.original.sourcePort });
  packet.connection = owner;
  return packet;
}

describe("the match connlimit", () => {
  it("is printed as the kernel's tools print it", () => {
    expectCanonical([
      ["-m connlimit --connlimit-above 3", "-m connlimit --connlimit-above 3 --connlimit-mask 32 --connlimit-saddr"],
      ["-m connlimit ! --connlimit-above 3", "-m connlimit --connlimit-upto 3 --connlimit-mask 32 --connlimit-saddr"],
      [
        "-m connlimit --connlimit-upto 0 --connlimit-daddr",
        "-m connlimit --connlimit-upto 0 --connlimit-mask 32 --connlimit-daddr",
      ],
      "-m connlimit --connlimit-above 4294967295 --connlimit-mask 0 --connlimit-saddr",
      [
        "-m connlimit --connlimit-above 3 --connlimit-mask 33",
        "-m connlimit --connlimit-above 3 --connlimit-mask 32 --connlimit-saddr",
      ],
    ]);
  });

  it("counts the connections of an address, and forgets those that are over in the next clock tick", () => {
    const table = new ConnectionTable();
    const { ask } = attached(
      ["-m connlimit --connlimit-above 2", "-m connlimit --connlimit-upto 2"],
      {},
      { tracker: { table } },
    );
    const [one, two, refused, later] = [connection(1), connection(2), connection(3), connection(4)];
    for (const flow of [one, two]) {
      expect(ask(packetOf(flow))).toEqual([false, true]);
      table.insert(flow);
    }
    expect(ask(packetOf(refused))).toEqual([true, false]);
    expect(ask(packetOf(one))).toEqual([true, false]);
    table.remove(one);
    expect(ask(packetOf(later))).toEqual([true, false]);
    expect(ask(packetOf(connection(5)), 0.004)).toEqual([false, true]);
    const other = connection(1, "10.0.0.9");
    expect(ask(packetOf(other, "10.0.0.9"))).toEqual([false, true]);
  });

  it("does not count what is closed or has run out", () => {
    const table = new ConnectionTable();
    const { ask } = attached(["-m connlimit --connlimit-above 1"], {}, { tracker: { table } });
    const [closed, old] = [connection(1), connection(2)];
    closed.tcp = new TcpTracking();
    for (const flow of [closed, old]) {
      ask(packetOf(flow));
      table.insert(flow);
    }
    expect(ask(packetOf(connection(3)))).toEqual([true]);
    closed.tcp.state = "TIME_WAIT";
    old.expires = 1e9;
    expect(ask(packetOf(connection(4)), 2)).toEqual([false]);
  });

  it("reads the flow of a packet that is not tracked, and drops one that has none", () => {
    const { ask, context } = attached(
      ["-m connlimit --connlimit-above 0"],
      {},
      { tracker: { table: new ConnectionTable() } },
    );
    expect(ask(udpPacket(pool))).toEqual([true]);
    expect(context.hotdrop).toBe(false);
    expect(ask(rawPacket(pool, 17, [1, 2]))).toEqual([false]);
    expect(context.hotdrop).toBe(true);
  });

  it("refuses what iptables refuses", () => {
    expect(refusal("-m connlimit")).toBe('4 "connlimit" | -m connlimit with --connlimit-upto or --connlimit-above');
    expect(refusal("-m connlimit --connlimit-upto -1")).toMatch(/^31 "-1" \| a number of connections/);
    expect(refusal("-m connlimit --connlimit-above 4294967296")).toMatch(/^32 "4294967296" \| a number of connections/);
    expect(refusal("-m connlimit --connlimit-above 10 --connlimit-saddr --connlimit-daddr")).toMatch(
      / \| no --connlimit-daddr beside --connlimit-saddr$/,
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { DROP_REASONS } from "../../src/trace/reason.ts";
import { REASON_TEXT } from "../../src/trace/reason-text.ts";
import { Recorder } from "../../src/trace/recorder.ts";
import { STEP, STEP_KINDS } from "../../src/trace/step.ts";
import { formatStory } from "../../src/trace/story.ts";
import { type PacketTrace, readTrace, type Step } from "../../src/trace/trace.ts";
import { containerCase, DOCKER_RULES, Stage } from "./worlds.ts";

/** 172.17.0.99, which nobody has. */
const UNUSED = 0xac110063 | 0;

const steps = (packet: PacketTrace): Step[] => packet.hops.flatMap((hop) => hop.steps);
const find = <K extends Step["kind"]>(packet: PacketTrace, kind: K) =>
  steps(packet).filter((step): step is Extract<Step, { kind: K }> => step.kind === kind);

function masqueraded(warm = true): Stage {
  const stage = new Stage(containerCase(DOCKER_RULES), warm);
  stage.ping("c1", "203.0.113.10");
  return stage;
}

describe("reading a trace", () => {
  const trace = readTrace(masqueraded().recorder);
  const [request, reply] = trace.packets as [PacketTrace, PacketTrace];

  it("parts a packet's way at the cables between namespaces", () => {
    expect(request.hops.map(({ namespace, in: into, out }) => [namespace, into, out])).toEqual([
      ["c1", null, "eth0"],
      ["host", "veth1", "eth0"],
      ["gw", "lan", "wan"],
      ["inet", "eth0", null],
    ]);
  });

  it("parts it at the loopback device too", () => {
    const stage = new Stage(containerCase(DOCKER_RULES));
    stage.ping("c1", "172.17.0.2");
    const [hops] = readTrace(stage.recorder).packets.map((packet) => packet.hops);
    expect(hops?.map(({ namespace, in: into, out }) => [namespace, into, out])).toEqual([
      ["c1", null, "lo"],
      ["c1", "lo", null],
    ]);
  });

  it("decodes operands to what people read", () => {
    expect(find(request, "ipv4")[0]).toMatchObject({
      where: { namespace: "c1", device: null },
      source: "172.17.0.2",
      destination: "203.0.113.10",
      protocol: 1,
      ttl: 64,
      length: 84,
      dontFragment: true,
      fragmentUnits: 0,
    });
    expect(find(request, "tx")[0]).toMatchObject({
      where: { namespace: "c1", device: "eth0" },
      bytes: 98,
      source: "02:42:ac:11:00:02",
      destination: "02:42:06:52:44:7c",
    });
    expect(find(request, "route")[1]).toMatchObject({
      type: "unicast",
      prefixLength: 0,
      gateway: "192.168.65.1",
      device: "eth0",
      table: 254,
    });
    expect(find(request, "rule").at(-1)).toMatchObject({
      rule: {
        table: "nat",
        chain: "POSTROUTING",
        number: 1,
        text: "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
      },
      verdict: "accept",
      to: null,
    });
    expect(find(request, "rule")[0]).toMatchObject({ verdict: "jump", to: { table: "filter", chain: "DOCKER-USER" } });
    expect(find(request, "rewrite")[0]).toMatchObject({
      manip: "source",
      from: "172.17.0.2",
      to: "192.168.65.3",
      fromPort: 7,
      toPort: 7,
      layer: "packet",
    });
    expect(
      find(request, "hook").find(({ hook, where }) => hook === "forward" && where?.namespace === "host"),
    ).toMatchObject({ passage: "enter", in: "docker0", out: "eth0", state: "NEW", family: "ip", mark: 0 });
  });

  it("knows whom a packet comes from, and what came of it", () => {
    expect(reply).toMatchObject({ origin: "generated", parent: request.id });
    expect(request).toMatchObject({ origin: "generated", parent: 0, children: [reply.id] });
    expect(trace.byId.get(reply.id)).toBe(reply);
  });

  it("says how each packet ends", () => {
    expect(request.disposition).toMatchObject({ kind: "consumed", by: "kernel answers" });
    expect(reply.disposition).toMatchObject({ kind: "delivered", to: "ping id 7", where: { namespace: "c1" } });
    const stage = new Stage(containerCase(DOCKER_RULES));
    stage.ping("inet", "192.168.65.9");
    const dropped = readTrace(stage.recorder).packets[0]!.disposition;
    expect(dropped).toMatchObject({ kind: "dropped", reason: "NEIGH_FAILED", time: 3e9, where: { device: "lan" } });
  });

  it("calls a packet queued that is still under way", () => {
    const stage = new Stage(containerCase(DOCKER_RULES), false);
    stage.world.host("c1").ping.socket(7).send(UNUSED, 1);
    const [packet] = readTrace(stage.recorder).packets;
    expect(packet!.disposition).toEqual({ kind: "queued", time: 0, where: { namespace: "c1", device: "eth0" } });
    expect(formatStory(readTrace(stage.recorder))).toContain(
      "queued       still under way at eth0 when the trace ends",
    );
  });

  it("keeps what happens to no packet apart", () => {
    const { recorder, world } = masqueraded(false);
    world.host("host").net.tracker.flush();
    const { events } = readTrace(recorder);
    expect(events.at(-1)).toMatchObject({ kind: "conntrack", change: "destroy", where: { namespace: "host" } });
    expect(events.filter(({ kind }) => kind === "neighbour").length).toBeGreaterThan(0);
  });

  it("reads packets that are older than the recording", () => {
    const stage = new Stage(containerCase(DOCKER_RULES), false);
    stage.world.host("c1").ping.socket(7).send(UNUSED, 1);
    stage.recorder.clear();
    stage.world.run();
    const { packets } = readTrace(stage.recorder);
    expect(packets.some(({ origin }) => origin === "unknown")).toBe(true);
    expect(formatStory(readTrace(stage.recorder))).toContain("#1 packet ");
  });
});

describe("every packet", () => {
  it("ends once in the trace, as often as the books say, and each step stands in one hop", () => {
    for (const act of [
      (stage: Stage) => stage.ping("c1", "203.0.113.10"),
      (stage: Stage) => stage.ping("c1", "203.0.113.10", 7, 2),
      (stage: Stage) => stage.ping("c1", "172.17.0.99"),
      (stage: Stage) => stage.datagram("inet", "192.168.65.3", 3000),
      (stage: Stage) => stage.datagram("c1", "203.0.113.10", 9, 3000),
    ]) {
      const stage = new Stage(containerCase(DOCKER_RULES), false);
      act(stage);
      const { packets, events } = readTrace(stage.recorder);
      const ends = { delivered: 0, consumed: 0, dropped: 0 };
      for (const packet of packets) {
        const kinds = steps(packet).map(({ kind }) => kind);
        const endings = kinds.filter((kind) => kind in ends);
        expect(endings).toEqual([packet.disposition.kind]);
        ends[endings[0] as keyof typeof ends]++;
        for (const hop of packet.hops)
          for (const { where } of hop.steps) expect(where?.namespace ?? hop.namespace).toBe(hop.namespace);
      }
      expect(ends).toEqual(
        (({ delivered, consumed, dropped }) => ({ delivered, consumed, dropped }))(stage.world.fabric.books),
      );
      expect(events.length + packets.flatMap(steps).length).toBe(stage.recorder.length);
    }
  });
});

describe("the step table", () => {
  it("has five integers at most for the operands of a kind", () => {
    for (const { operands } of STEP_KINDS)
      expect(operands.reduce((sum, { type }) => sum + (type === "mac" ? 2 : 1), 0)).toBeLessThanOrEqual(5);
  });

  it("packs bits that do not overlap", () => {
    for (const { operands } of STEP_KINDS)
      for (const operand of operands) {
        if (operand.type !== "bits") continue;
        let taken = 0n;
        for (const field of operand.fields) {
          const width = BigInt("width" in field ? field.width : 32 - field.shift);
          const mask = ((1n << width) - 1n) << BigInt(field.shift);
          expect(taken & mask).toBe(0n);
          taken |= mask;
        }
        expect(taken >> 32n).toBe(0n);
      }
  });

  it("reads any integers without failing, and tells them", () => {
    const row = fc.tuple(
      fc.nat(STEP_KINDS.length - 1),
      fc.nat(3),
      fc.nat(4),
      fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { minLength: 5, maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(row, { maxLength: 30 }), (rows) => {
        const recorder = new Recorder(new Scheduler());
        recorder.names.add({ kind: "namespace", namespace: "a" });
        recorder.names.add({ kind: "device", namespace: "a", device: "eth0" });
        recorder.names.add({ kind: "device", namespace: "b", device: "eth0" });
        for (const [kind, packet, place, [a, b, c, d, e]] of rows) recorder.step(kind, packet, place, a, b, c, d, e);
        const trace = readTrace(recorder);
        for (const level of ["hop", "step", "byte"] as const)
          for (const line of formatStory(trace, { level }).split("\n"))
            expect([...line].length).toBeLessThanOrEqual(100);
      }),
    );
  });

  it("has a plain sentence for every drop reason", () => {
    expect(Object.keys(REASON_TEXT)).toEqual([...DROP_REASONS]);
    expect(STEP_KINDS[STEP.dropped]!.name).toBe("dropped");
  });
});

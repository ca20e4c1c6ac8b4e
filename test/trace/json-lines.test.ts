import { describe, expect, it } from "vitest";
import { z } from "zod";
import { formatJsonLines, traceSchema } from "../../src/trace/json-lines.ts";
import { readTrace } from "../../src/trace/trace.ts";
import { containerCase, DOCKER_RULES, Stage } from "./worlds.ts";

// biome-ignore lint/suspicious/noExplicitAny: the schema is checked by using it
const schema = z.fromJSONSchema(traceSchema as any);

function linesOf(act: (stage: Stage) => void, rules = DOCKER_RULES): unknown[] {
  const stage = new Stage(containerCase(rules), false);
  act(stage);
  const text = formatJsonLines(readTrace(stage.recorder));
  expect(text.endsWith("\n")).toBe(true);
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

describe("a trace as JSON Lines", () => {
  it.each([
    ["a ping into the internet", (on: Stage) => on.ping("c1", "203.0.113.10")],
    ["an ICMP error through NAT", (on: Stage) => on.ping("c1", "203.0.113.10", 7, 2)],
    ["a neighbour that does not answer", (on: Stage) => on.ping("c1", "172.17.0.99")],
    ["a published port", (on: Stage) => on.datagram("inet", "192.168.65.3", 3000)],
    [
      "fragments",
      (on: Stage) => on.datagram("c1", "203.0.113.10", 9, 3000, on.world.host("c1").udp.open({ discovery: 0 })),
    ],
  ])("keeps to its schema in every line: %s", (_, act) => {
    for (const line of linesOf(act)) expect(schema.safeParse(line).error).toBeUndefined();
  });

  it("has one line a packet, with all that happened to it", () => {
    const packets = linesOf((on) => on.ping("c1", "203.0.113.10")).filter(
      (line) => (line as { type: string }).type === "packet",
    );
    expect(packets.map((packet) => (packet as { id: number }).id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(packets[0]).toMatchObject({
      id: 1,
      origin: "generated",
      parent: 0,
      time: 0,
      disposition: { kind: "consumed", by: "kernel answers", namespace: "inet", device: null, time: 0 },
      hops: [
        { namespace: "c1", in: null, out: "eth0" },
        { namespace: "host", in: "veth1", out: "eth0" },
        { namespace: "gw", in: "lan", out: "wan" },
        { namespace: "inet", in: "eth0", out: null },
      ],
    });
  });

  it("refuses a step with a word, a field or a reason that the step table does not know", () => {
    const [line] = linesOf((on) => on.ping("c1", "203.0.113.10")) as {
      hops: { steps: Record<string, unknown>[] }[];
      disposition: object;
    }[];
    const { hops, disposition } = line!;
    const withStep = (change: object) => ({
      ...line,
      hops: [{ ...hops[0], steps: [{ ...hops[0]!.steps[0], ...change }] }],
    });
    expect(schema.safeParse(withStep({})).success).toBe(true);
    expect(schema.safeParse(withStep({ origin: "conjured" })).success).toBe(false);
    expect(schema.safeParse(withStep({ colour: "red" })).success).toBe(false);
    expect(schema.safeParse(withStep({ row: undefined })).success).toBe(false);
    const dropped = { ...disposition, by: undefined, kind: "dropped", reason: "BOREDOM" };
    expect(schema.safeParse({ ...line, disposition: dropped }).success).toBe(false);
  });

  it("orders events among the packets as they happened", () => {
    const rows = linesOf((on) => on.ping("c1", "203.0.113.10")).map((line) => {
      const { row, hops } = line as { row?: number; hops?: { steps: { row: number }[] }[] };
      return row ?? hops![0]!.steps[0]!.row;
    });
    expect(rows).toEqual([...rows].sort((a, b) => a - b));
  });
});

import { describe, expect, test } from "vitest";
import { type TcpState, transition } from "../../../src/kernel/conntrack/tcp-state.ts";
import { EVENTS, type Event, STAGE_NAMES, STAGES, type StageName, segment } from "./conversation.ts";
import { entries, hits, runRouter, table } from "./router.ts";

/** Section 4 of the facts, as it stands there. */
const ROWS = `
orig  syn    SS SS ig ig ig ig ig SS SS S2     reply syn    iv S2 iv iv iv iv iv SS iv S2
      synack iv iv SR iv iv iv iv iv iv SR           synack iv SR ig ig ig ig ig ig ig SR
      fin    iv iv FW FW LA LA LA TW CL iv           fin    iv iv FW FW LA LA LA TW CL iv
      ack    ES iv ES ES CW CW TW TW CL iv           ack    iv ig SR ES CW CW TW TW CL ig
      rst    iv CL CL CL CL CL CL CL CL CL           rst    iv CL CL CL CL CL CL CL CL CL
`;
const COLUMNS: readonly TcpState[] = [
  "NONE",
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
  "TIME_WAIT",
  "CLOSE",
  "SYN_SENT2",
];
const NAMES: Readonly<Record<string, string>> = {
  iv: "INVALID",
  ig: "IGNORE",
  SS: "SYN_SENT",
  SR: "SYN_RECV",
  ES: "ESTABLISHED",
  FW: "FIN_WAIT",
  CW: "CLOSE_WAIT",
  LA: "LAST_ACK",
  TW: "TIME_WAIT",
  CL: "CLOSE",
  S2: "SYN_SENT2",
};

interface Cell {
  readonly from: "orig" | "reply";
  readonly event: Event;
  readonly state: TcpState;
  readonly next: string;
}

const CELLS: Cell[] = ROWS.trim()
  .split("\n")
  .flatMap((line, row) =>
    [line.slice(13, 42), line.slice(60)].flatMap((half, side) =>
      half
        .trim()
        .split(" ")
        .map((cell, column) => ({
          from: side === 0 ? ("orig" as const) : ("reply" as const),
          event: EVENTS[row]!,
          state: COLUMNS[column]!,
          next: NAMES[cell]!,
        })),
    ),
  );

const rowOf = ({ from, event, state, next }: Cell) => [from, event, state, next] as const;

describe("4 TCP table, next state by flag", () => {
  test("has a next state for 2 directions, 5 flags and 10 states", () => {
    expect(CELLS).toHaveLength(100);
    expect(CELLS.every(({ next }) => next !== undefined)).toBe(true);
  });

  test.each(CELLS.map(rowOf))("%s %s in %s → %s", (from, event, state, next) => {
    expect(transition(from === "orig" ? 0 : 1, event, state)).toBe(next);
  });
});

/** What becomes of a conversation at a stage: its state, INVALID, or that it is gone. */
function outcome(from: "orig" | "reply", event: Event, stage: StageName): string {
  const steps = [...STAGES[stage].steps, segment(from, event, STAGES[stage])];
  const result = runRouter(steps, { rules: table("filter", "-A FORWARD -m conntrack --ctstate INVALID") });
  if (hits(result, "FORWARD", 1) > 0) return "INVALID";
  const [entry] = entries(result);
  return entry === undefined ? "gone" : entry.tcp_state!;
}

/** Where more than the table decides: a RST before any answer, or as the only one, ends the entry; nobody closed yet. */
const DECIDED_ELSEWHERE: Readonly<Record<string, string>> = {
  "orig rst SYN_SENT": "gone",
  "reply rst SYN_SENT": "gone",
  "orig syn CLOSE": "CLOSE",
};

describe("4 TCP table, as segments on the wire meet it", () => {
  const cells = CELLS.filter(({ state }) => state !== "NONE");

  test.each(cells.map(rowOf))("%s %s in %s → %s", (from, event, state, next) => {
    const expected = DECIDED_ELSEWHERE[`${from} ${event} ${state}`] ?? (next === "IGNORE" ? state : next);
    expect(outcome(from, event, state as StageName)).toBe(expected);
  });

  test.each(STAGE_NAMES)("a conversation can be led to %s", (stage) => {
    expect(
      entries(
        runRouter([...STAGES[stage].steps], { rules: table("filter", "-A FORWARD -m conntrack --ctstate INVALID") }),
      )[0]!.tcp_state,
    ).toBe(stage);
  });
});

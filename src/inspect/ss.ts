import type { Machine } from "./machine.ts";
import { type Printed, printed, unmodelled } from "./printed.ts";
import { type SocketRow, socketRows } from "./socket-list.ts";

/** `ss [-tulanp]`, of iproute2 6.1. Processes are not modelled, so that `-p` adds an empty column. */
export function ss(args: readonly string[], machine: Machine): Printed {
  const letters = args.map((word) => word.replace(/^-/, "")).join("");
  const wrong = args.find((word) => !/^-[tulanp4H]+$/.test(word));
  if (wrong !== undefined) throw unmodelled(`ss ${wrong}`, "ss [-tulanp]");
  const has = (letter: string) => letters.includes(letter);
  const both = has("t") === has("u");
  const rows = socketRows(machine).filter(
    ({ protocol, listening }) =>
      (both || (protocol === "tcp" ? has("t") : has("u"))) && (has("a") || listening === has("l")),
  );
  rows.sort((a, b) => (a.protocol === b.protocol ? 0 : a.protocol === "udp" ? -1 : 1));
  return printed(table(rows, both, has("H")));
}

function split(address: string): [string, string] {
  const colon = address.lastIndexOf(":");
  return [address.slice(0, colon), address.slice(colon)];
}

/** Columns are as wide as their widest entry, addresses to the right and ports to the left. */
function table(rows: readonly SocketRow[], named: boolean, bare: boolean): string {
  const head = [
    ...(named ? ["Netid"] : []),
    "State",
    "Recv-Q",
    "Send-Q",
    "Local Address",
    ":Port",
    "Peer Address",
    ":Port",
    "Process",
  ];
  const body = rows.map((row) => [
    ...(named ? [row.protocol] : []),
    row.state,
    "0",
    String(row.backlog),
    ...split(row.local),
    ...split(row.peer),
    "",
  ]);
  const all = [head, ...body];
  const first = named ? 4 : 3;
  const width = (column: number) => Math.max(...all.map((cells) => cells[column]!.length));
  const line = (cells: readonly string[]) => {
    const plain = cells.slice(0, first).map((cell, i) => cell.padEnd(width(i)));
    const pair = (at: number) => cells[at]!.padStart(width(at)) + cells[at + 1]!.padEnd(width(at + 1));
    return `${plain.join(" ")} ${pair(first)} ${pair(first + 2)}${cells.at(-1)!.padEnd(width(cells.length - 1))}`;
  };
  return (bare ? body : all).map((cells) => `${line(cells)}\n`).join("");
}

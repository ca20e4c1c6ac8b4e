import { type Machine, readFile } from "./machine.ts";
import { lines } from "./printed.ts";

/** Listening sockets of `/proc/net/unix`, where a scenario has that file. */
export function unixSockets(machine: Machine, listening: boolean, all: boolean): string {
  const rows: string[] = [];
  for (const row of (readFile(machine, "/proc/net/unix") ?? "").split("\n")) {
    // Num RefCount Protocol Flags Type St Inode Path
    const [, count = "", , flags = "", type = "", , inode = "", path = ""] = row.trim().split(/\s+/);
    if (!/^[0-9A-F]{8}$/i.test(count) || (!all && ((Number.parseInt(flags, 16) & ACCEPTS) !== 0) !== listening))
      continue;
    const accepts = (Number.parseInt(flags, 16) & ACCEPTS) !== 0;
    const kind = Number.parseInt(type, 16) === 1 ? "STREAM" : "DGRAM";
    const state = (accepts ? "LISTENING" : "").padEnd(13);
    const references = String(Number.parseInt(count, 16)).padEnd(6);
    const flag = (accepts ? "[ ACC ]" : "[ ]").padEnd(11);
    rows.push(`unix  ${references} ${flag} ${kind.padEnd(10)} ${state} ${inode.padStart(6)} ${path}`);
  }
  if (rows.length === 0) return "";
  const which = all ? "servers and established" : listening ? "only servers" : "w/o servers";
  return lines([
    `Active UNIX domain sockets (${which})`,
    "Proto RefCnt Flags       Type       State         I-Node Path",
    ...rows,
  ]);
}

/** SO_ACCEPTCON. */
const ACCEPTS = 0x10000;

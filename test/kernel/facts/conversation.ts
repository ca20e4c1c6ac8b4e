import type { LabStep } from "../../../src/scenario/lab-case.ts";
import type { PacketSpec } from "../../../src/scenario/lab-packet.ts";
import { CLIENT, fromClient, fromServer, SERVER, tcp } from "./router.ts";

/** A TCP conversation between the client's port 5000 and the server's port 80 as a third party sees it: raw segments. */
export const CLIENT_END = `${CLIENT}:5000`;
export const SERVER_END = `${SERVER}:80`;

type Fields = NonNullable<PacketSpec["tcp"]>;

export const c = (flags: string, fields: Fields = {}): LabStep =>
  fromClient(tcp(CLIENT_END, SERVER_END, flags, fields));
export const s = (flags: string, fields: Fields = {}): LabStep =>
  fromServer(tcp(SERVER_END, CLIENT_END, flags, fields));

const SYN = c("S", { seq: 1000 });
const SYN_ACK = s("SA", { seq: 9000, ack: 1001 });
const ACK = c("A", { seq: 1001, ack: 9001 });
export const HANDSHAKE: readonly LabStep[] = [SYN, SYN_ACK, ACK];

const FIN_WAIT = [...HANDSHAKE, c("FA", { seq: 1001, ack: 9001 })];
const CLOSE_WAIT = [...FIN_WAIT, s("A", { seq: 9001, ack: 1002 })];
const LAST_ACK = [...CLOSE_WAIT, s("FA", { seq: 9001, ack: 1002 })];

/** Where a conversation stands: what led there, and the next sequence numbers of client and server. */
export interface Stage {
  readonly steps: readonly LabStep[];
  readonly client: number;
  readonly server: number;
}

export const STAGES = {
  SYN_SENT: { steps: [SYN], client: 1001, server: 9000 },
  SYN_RECV: { steps: [SYN, SYN_ACK], client: 1001, server: 9001 },
  ESTABLISHED: { steps: HANDSHAKE, client: 1001, server: 9001 },
  FIN_WAIT: { steps: FIN_WAIT, client: 1002, server: 9001 },
  CLOSE_WAIT: { steps: CLOSE_WAIT, client: 1002, server: 9001 },
  LAST_ACK: { steps: LAST_ACK, client: 1002, server: 9002 },
  TIME_WAIT: { steps: [...LAST_ACK, c("A", { seq: 1002, ack: 9002 })], client: 1002, server: 9002 },
  CLOSE: { steps: [...HANDSHAKE, s("RA", { seq: 9001, ack: 1001 })], client: 1001, server: 9001 },
  SYN_SENT2: { steps: [SYN, s("S", { seq: 9000 })], client: 1001, server: 9001 },
} as const satisfies Record<string, Stage>;

export type StageName = keyof typeof STAGES;
export const STAGE_NAMES = Object.keys(STAGES) as StageName[];

export const EVENTS = ["syn", "synack", "fin", "ack", "rst"] as const;
export type Event = (typeof EVENTS)[number];

const FLAGS: Readonly<Record<Event, string>> = { syn: "S", synack: "SA", fin: "FA", ack: "A", rst: "R" };

/** The segment that means `event` at this stage, inside the window. */
export function segment(from: "orig" | "reply", event: Event, { client, server }: Stage): LabStep {
  const [own, other] = from === "orig" ? [client, server] : [server, client];
  const start = from === "orig" ? 1000 : 9000;
  const seq = event === "syn" || event === "synack" ? start : own;
  const fields = { seq, ...(event === "syn" ? {} : { ack: other }) };
  if (event === "rst" && from === "orig") return c("R", { seq });
  if (event === "rst") return s("RA", fields);
  return from === "orig" ? c(FLAGS[event], fields) : s(FLAGS[event], fields);
}

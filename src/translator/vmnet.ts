import { formatMac, type Mac } from "../wire/address.ts";

/**
 * The handshake of VMNET, by which hyperkit and vpnkit plug a machine in, `vmnet.ml`. All integers are little endian. The
 * client sends its greeting, the server answers with its own; the client names itself, the server says which card it has;
 * then frames follow both ways, each behind its length.
 */
export const GREETING_LENGTH = 49;
export const COMMAND_LENGTH = 41;
export const REPLY_LENGTH = 258;
export const VMNET_VERSION = 22;
const MAGIC = "VMN3T";
const COMMIT = 40;
const UUID = 36;
const ETHERNET = 1;
const PREFERRED_IPV4 = 8;
const VIF = 1;
const DISCONNECT = 2;
/** What the largest packet of a VIF has beyond its MTU. */
const OVERHEAD = 50;
/** An all-zero UUID asks the server to invent one. */
export const NO_UUID = "00000000-0000-0000-0000-000000000000";

export interface Greeting {
  readonly version: number;
  /** The commit it was built from, 40 letters. */
  readonly commit: string;
}

/** Who the client is, and which address it would like; 0 for any. */
export interface Command {
  readonly uuid: string;
  readonly address: number;
}

/** The card that the server gives, or why it gives none. */
export type Reply =
  | { readonly kind: "vif"; readonly mtu: number; readonly mac: Mac }
  | { readonly kind: "disconnect"; readonly reason: string };

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const textAt = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));
const setText = (bytes: Uint8Array, at: number, text: string): void => {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i) & 255;
};

export function formatGreeting({ version, commit }: Greeting): Uint8Array {
  const bytes = new Uint8Array(GREETING_LENGTH);
  setText(bytes, 0, MAGIC);
  viewOf(bytes).setUint32(MAGIC.length, version, true);
  setText(bytes, MAGIC.length + 4, commit.slice(0, COMMIT));
  return bytes;
}

/** The greeting, or why the bytes are none. */
export function parseGreeting(bytes: Uint8Array): Greeting | string {
  if (bytes.length !== GREETING_LENGTH) return `a greeting of ${bytes.length} bytes, expected ${GREETING_LENGTH}`;
  const magic = textAt(bytes, 0, MAGIC.length);
  if (magic !== MAGIC) return `a greeting that begins with ${JSON.stringify(magic)}, expected ${MAGIC}`;
  const commit = textAt(bytes, MAGIC.length + 4, COMMIT).replace(/\0+$/, "");
  return { version: viewOf(bytes).getUint32(MAGIC.length, true), commit };
}

export function formatCommand({ uuid, address }: Command): Uint8Array {
  const bytes = new Uint8Array(COMMAND_LENGTH);
  bytes[0] = address === 0 ? ETHERNET : PREFERRED_IPV4;
  setText(bytes, 1, uuid);
  viewOf(bytes).setInt32(1 + UUID, address, true);
  return bytes;
}

/** The command, or why the bytes are none. */
export function parseCommand(bytes: Uint8Array): Command | string {
  if (bytes.length !== COMMAND_LENGTH) return `a command of ${bytes.length} bytes, expected ${COMMAND_LENGTH}`;
  const command = bytes[0]!;
  if (command !== ETHERNET && command !== PREFERRED_IPV4)
    return `command ${command}, expected ${ETHERNET} (Ethernet) or ${PREFERRED_IPV4} (preferred IPv4 address)`;
  const uuid = textAt(bytes, 1, UUID);
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid)) return `${JSON.stringify(uuid)}, expected a UUID`;
  const address = command === ETHERNET ? 0 : viewOf(bytes).getInt32(1 + UUID, true);
  return { uuid: uuid.toLowerCase(), address };
}

export function formatReply(reply: Reply): Uint8Array {
  const bytes = new Uint8Array(REPLY_LENGTH);
  const view = viewOf(bytes);
  if (reply.kind === "disconnect") {
    const reason = reply.reason.slice(0, 255);
    bytes[0] = DISCONNECT;
    bytes[1] = reason.length;
    setText(bytes, 2, reason);
    return bytes;
  }
  bytes[0] = VIF;
  view.setUint16(1, reply.mtu, true);
  view.setUint16(3, reply.mtu + OVERHEAD, true);
  view.setUint16(5, reply.mac.high);
  view.setInt32(7, reply.mac.low);
  return bytes;
}

/** What the server says, or why the bytes say nothing. */
export function parseReply(bytes: Uint8Array): Reply | string {
  if (bytes.length !== REPLY_LENGTH) return `a reply of ${bytes.length} bytes, expected ${REPLY_LENGTH}`;
  const view = viewOf(bytes);
  if (bytes[0] === DISCONNECT) return { kind: "disconnect", reason: textAt(bytes, 2, bytes[1]!) };
  if (bytes[0] !== VIF) return `reply ${bytes[0]}, expected ${VIF} (a card) or ${DISCONNECT} (no card)`;
  const mac = { high: view.getUint16(5), low: view.getInt32(7) };
  if ((mac.high & 0x100) !== 0) return `a card with the group address ${formatMac(mac.high, mac.low)}`;
  return { kind: "vif", mtu: view.getUint16(1, true), mac };
}

/** What a server answers to the bytes of a client. */
export interface HandshakeStep {
  /** To be sent to the client. */
  readonly answer: Uint8Array;
  /** Why the server hangs up; null while it goes on. */
  readonly fault: string | null;
  /** What came behind the handshake, once it is over: frames. */
  readonly rest: Uint8Array | null;
}

/** The server's side of the handshake, however its bytes are split. */
export class VmnetHandshake {
  private held = new Uint8Array(0);
  private greeted = false;
  private over = false;
  /** Who the client is; null until it has said so. */
  command: Command | null = null;

  constructor(
    private readonly commit: string,
    /** The card for a client, or why it gets none. */
    private readonly admit: (command: Command) => Reply,
  ) {}

  /** Takes the next bytes of the client. Nothing more is taken once it is over. */
  push(bytes: Uint8Array): HandshakeStep {
    if (this.over) return { answer: EMPTY, fault: "the handshake is over", rest: null };
    const all = new Uint8Array(this.held.length + bytes.length);
    all.set(this.held);
    all.set(bytes, this.held.length);
    this.held = all;
    const answers: Uint8Array[] = [];
    let fault: string | null = null;
    if (!this.greeted && this.held.length >= GREETING_LENGTH) fault = this.greet(answers);
    if (fault === null && this.greeted && this.held.length >= COMMAND_LENGTH) fault = this.introduce(answers);
    if (fault !== null) this.over = true;
    const rest = this.over && fault === null ? this.held : null;
    return { answer: joined(answers), fault, rest };
  }

  private take(length: number): Uint8Array {
    const taken = this.held.slice(0, length);
    this.held = this.held.slice(length);
    return taken;
  }

  /** The server shows its version before it hangs up on another. */
  private greet(answers: Uint8Array[]): string | null {
    const greeting = parseGreeting(this.take(GREETING_LENGTH));
    if (typeof greeting === "string") return greeting;
    answers.push(formatGreeting({ version: VMNET_VERSION, commit: this.commit }));
    this.greeted = true;
    return greeting.version === VMNET_VERSION ? null : `version ${greeting.version}, expected ${VMNET_VERSION}`;
  }

  private introduce(answers: Uint8Array[]): string | null {
    const command = parseCommand(this.take(COMMAND_LENGTH));
    if (typeof command === "string") return command;
    this.command = command;
    const reply = this.admit(command);
    answers.push(formatReply(reply));
    this.over = true;
    return reply.kind === "disconnect" ? reply.reason : null;
  }
}

const EMPTY = new Uint8Array(0);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

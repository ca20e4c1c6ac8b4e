import type { Packet } from "../packet/packet.ts";
import type { Timer } from "../sim/scheduler.ts";
import type { Connection, ConnectionOwner } from "../tcp/connection.ts";
import type { OutgoingSegment } from "../tcp/outgoing.ts";
import { maySend } from "../tcp/state.ts";
import type { Endpoint, HostStream, HostStreamEvents } from "./host-sockets.ts";
import type { Impersonation } from "./impersonation.ts";
import type { TcpFlows } from "./tcp-flows.ts";

/** Most that is taken from the host at once, bytes. */
const CHUNK = 65_536;

/**
 * One TCP connection of a guest: the impersonated host's end of it, and the host's stream that carries its bytes on.
 * What one side cannot take stays at the other: a full stream closes the guest's window, a full window stops the stream.
 */
export class TcpFlow implements ConnectionOwner {
  /** The impersonated host's end; null until the host is connected. */
  connection: Connection | null = null;
  stream: HostStream | null = null;
  /** The guest's SYN, kept until the host is connected. */
  syn: Packet | null = null;
  /** When connecting has taken too long; null where the host decides. */
  patience: Timer | null = null;
  bytesToHost = 0;
  bytesToGuest = 0;
  /** Read from the host, and more than the guest's side could take. */
  private rest: Uint8Array = EMPTY;
  /** The guest's end has been handed on to the host, and the host's to the guest. */
  private guestEnded = false;
  private hostEnded = false;
  /** The host's stream is no more. */
  private hostGone = false;

  constructor(
    private readonly flows: TcpFlows,
    readonly number: number,
    readonly impersonation: Impersonation,
    /** The guest's port. */
    readonly localPort: number,
    readonly remotePort: number,
    /** Where the host connects to. */
    readonly outside: Endpoint,
  ) {}

  /** What the host does. */
  readonly events: HostStreamEvents = {
    connected: (cause) => this.flows.connected(this, cause),
    failed: (failure, cause) => {
      this.hostGone = true;
      this.flows.failed(this, failure, cause);
    },
    readable: (cause) => this.caused(cause, () => this.toGuest()),
    writable: (cause) => this.caused(cause, () => this.toHost()),
    closed: (errno, cause) => {
      this.hostGone = true;
      if (errno !== null) this.caused(cause, () => this.connection?.abort());
    },
  };

  private caused(cause: number, action: () => void): void {
    const before = this.flows.cause;
    this.flows.cause = cause;
    action();
    this.flows.cause = before;
  }

  /** The endpoint is given up: the host's stream goes, and the guest hears nothing. */
  abandon(): void {
    this.destroyStream(0);
    if (this.connection !== null) this.connection.finish();
    else this.flows.giveUp(this);
  }

  private destroyStream(cause: number): void {
    if (!this.hostGone) this.stream?.destroy(cause);
    this.hostGone = true;
  }

  // ConnectionOwner: what the guest does.

  send(_connection: Connection, segment: OutgoingSegment): boolean {
    this.flows.transmit(this, segment);
    return true;
  }

  admit(): boolean {
    return true;
  }

  established(): void {
    if (this.hostGone) this.connection!.abort();
    else this.toGuest();
  }

  readable(): void {
    this.toHost();
  }

  writable(): void {
    this.toGuest();
  }

  /** The guest has reset it, or answers no more. */
  failed(): void {
    this.destroyStream(this.flows.cause);
  }

  ended(): void {
    if (!this.guestEnded || !this.hostEnded) this.destroyStream(this.flows.cause);
    this.flows.remove(this);
  }

  /** The guest's bytes go to the host's stream as they lie in the receive buffer. */
  private toHost(): void {
    const { connection, stream, flows } = this;
    if (connection === null || stream === null || this.hostGone || this.guestEnded) return;
    for (;;) {
      const bytes = connection.peek();
      if (bytes.length === 0) break;
      const taken = stream.write(bytes, flows.cause);
      const whole = taken === bytes.length;
      this.bytesToHost += taken;
      if (taken > 0) {
        flows.tellCall(flows.cause, this, "send", taken);
        connection.skip(taken);
      }
      if (!whole) return;
    }
    if (!connection.ended) return;
    this.guestEnded = true;
    flows.tellCall(flows.cause, this, "shutdown");
    stream.end(flows.cause);
    this.settle();
  }

  /** What the host has read goes straight into the send buffer. */
  private toGuest(): void {
    const { connection, stream } = this;
    if (connection === null || stream === null || !maySend(connection.state) || this.hostEnded) return;
    for (;;) {
      if (this.rest.length === 0) {
        const bytes = stream.read(CHUNK);
        if (bytes === null) break;
        if (bytes.length === 0) return;
        this.rest = bytes;
      }
      const taken = connection.write(this.rest);
      this.bytesToGuest += taken;
      const whole = taken === this.rest.length;
      this.rest = whole ? EMPTY : this.rest.subarray(taken);
      if (!whole) return;
    }
    this.hostEnded = true;
    connection.shutdownWrite();
    this.settle();
  }

  /** Both ends have ended: the stream is done, and what is left of the connection waits by itself. */
  private settle(): void {
    if (this.guestEnded && this.hostEnded) this.connection!.close();
  }
}

const EMPTY = new Uint8Array(0);

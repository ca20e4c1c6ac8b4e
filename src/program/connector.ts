import type { Timer } from "../sim/scheduler.ts";
import type { Errno } from "../socket/strerror.ts";
import type { TcpSocket } from "../socket/tcp-socket.ts";
import type { Environment } from "./program.ts";

export interface ConnectorEvents {
  trying(address: number): void;
  connected(socket: TcpSocket, address: number): void;
  /** `at once` when `connect()` itself said so. */
  failed(address: number, errno: Errno, atOnce: boolean): void;
  /** This address had as long as it may have, in nanoseconds. */
  timedOut(address: number, time: number): void;
  /** No address is left; `errno` is the last address's, null when it was only slow. */
  exhausted(errno: Errno | null): void;
}

/** Connects to one address after the other, as curl does: each but the last has half of the time that is left. */
export class Connector {
  private readonly timer: Timer;
  private readonly deadline: number;
  private socket: TcpSocket | null = null;
  private next = 0;

  constructor(
    private readonly environment: Environment,
    private readonly addresses: readonly number[],
    private readonly port: number,
    time: number,
    private readonly events: ConnectorEvents,
  ) {
    this.timer = environment.scheduler.timer(() => this.expire());
    this.deadline = environment.scheduler.now + time;
  }

  private allowed = 0;

  start(): void {
    this.tryNext(null);
  }

  cancel(): void {
    this.timer.cancel();
    this.socket?.close();
    this.socket = null;
  }

  private tryNext(errno: Errno | null): void {
    this.cancel();
    const address = this.addresses[this.next++];
    if (address === undefined) {
      this.events.exhausted(errno);
      return;
    }
    const left = Math.max(0, this.deadline - this.environment.scheduler.now);
    this.allowed = this.next === this.addresses.length ? left : Math.floor(left / 2);
    this.events.trying(address);
    const socket = this.environment.tcp.open();
    this.socket = socket;
    this.timer.armIn(this.allowed);
    socket.onConnect = () => {
      this.timer.cancel();
      this.socket = null;
      this.events.connected(socket, address);
    };
    socket.onError = (error) => this.fail(address, error, false);
    const refused = socket.connect(address, this.port);
    if (refused !== null) this.fail(address, refused, true);
  }

  private fail(address: number, errno: Errno, atOnce: boolean): void {
    this.events.failed(address, errno, atOnce);
    this.tryNext(errno);
  }

  private expire(): void {
    this.events.timedOut(this.addresses[this.next - 1]!, this.allowed);
    this.tryNext(null);
  }
}

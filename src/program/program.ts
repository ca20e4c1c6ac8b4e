import type { Random } from "../sim/random.ts";
import type { Scheduler } from "../sim/scheduler.ts";
import type { PingSockets } from "../socket/ping.ts";
import type { RawSockets } from "../socket/raw.ts";
import type { TcpSockets } from "../socket/tcp.ts";
import type { UdpSockets } from "../socket/udp.ts";
import type { UnixSockets } from "../socket/unix.ts";

/** What a program has of the namespace that it runs in. */
export interface Environment {
  readonly udp: UdpSockets;
  readonly tcp: TcpSockets;
  readonly ping: PingSockets;
  readonly unix: UnixSockets;
  readonly raw: RawSockets;
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** Environment variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Files by their path: `/etc/hosts`, `/etc/resolv.conf`. */
  readonly files: ReadonlyMap<string, string>;
  /** Prints a line; `packet` is the one that made it say so. */
  say(line: string, packet?: number): void;
  /** Ends the program with the exit status that a shell would see. */
  exit(status: number): void;
  /** What to do on Ctrl-C (SIGINT) instead of dying of it. */
  onInterrupt?(action: () => void): void;
}

/** Something that can be run on a host. It does all its work in callbacks of sockets and timers. */
export interface Program {
  readonly name: string;
  /** True for one that waits for others and never ends by itself. */
  readonly serves: boolean;
  /** True for one that goes on for ever, so that a run with it has to be ended. */
  readonly endless?: boolean;
  start(environment: Environment): void;
}

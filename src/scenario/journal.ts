import type { Fabric } from "../link/fabric.ts";
import type { SocketCall } from "../trace/socket-call.ts";

/** The beginning of a step, or a call of a program on a socket with a port, if it has one; `time` is virtual nanoseconds. */
export type JournalEntry =
  | { readonly time: number; readonly step: number }
  | { readonly time: number; readonly call: SocketCall; readonly socket: object; readonly port: number };

/** What was done in a run, in order. */
export class Journal {
  readonly entries: JournalEntry[] = [];

  constructor(private readonly fabric: Fabric) {
    fabric.onCall = (socket, call) => {
      const port = "port" in socket ? Number(socket.port) : 0;
      this.entries.push({ time: fabric.scheduler.now, call, socket, port });
    };
  }

  begin(step: number): void {
    this.entries.push({ time: this.fabric.scheduler.now, step });
  }
}

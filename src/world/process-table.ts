/** A program that runs on a host. */
export interface HostProcess {
  /** As the machine counts it. */
  readonly pid: number;
  /** As the host's own namespace of processes counts it, where it has one. */
  readonly number: number;
  /** Its words. */
  readonly command: string;
  /** What the kernel calls it (`comm`); null for its first word's last part. */
  readonly name: string | null;
  readonly user: string;
  /** Null for one that was there when the world began: its parent is the host's first. */
  readonly parent: number | null;
  /** Virtual nanoseconds. */
  readonly started: number;
  /** A person started it at a terminal. */
  readonly terminal: boolean;
}

/** The number that the kernel gives next, of one world. */
export interface PidCounter {
  last: number;
}

/** The programs that run on one host, in the order of their start. */
export class ProcessTable {
  private readonly running = new Set<HostProcess>();
  /** The first of a container is 1; what is started in it later has higher numbers. */
  private number = 6;

  constructor(
    private readonly pids: PidCounter,
    private readonly clock: { readonly now: number },
  ) {}

  get all(): readonly HostProcess[] {
    return [...this.running];
  }

  start(command: string, { terminal = false } = {}): HostProcess {
    const pid = ++this.pids.last;
    const number = ++this.number;
    const { now: started } = this.clock;
    const process: HostProcess = { pid, number, command, name: null, user: "root", parent: null, started, terminal };
    this.running.add(process);
    return process;
  }

  /** One that a scenario says is there. */
  add(given: Pick<HostProcess, "pid" | "command" | "name" | "parent" | "user">): void {
    this.running.add({ ...given, number: given.pid, started: 0, terminal: false });
  }

  end(process: HostProcess): void {
    this.running.delete(process);
  }
}

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** Which of these programs are not on the path. */
export const lacking = (programs: readonly string[]): string[] =>
  programs.filter(
    (program) => !(process.env["PATH"] ?? "").split(delimiter).some((at) => existsSync(join(at, program))),
  );

/** Why no guest can live in a namespace here, or null. */
export function missingForGuest(programs: readonly string[]): string | null {
  const absent = lacking(["ip", ...programs]);
  if (absent.length > 0) return `not installed: ${absent.join(", ")}`;
  if (!existsSync("/dev/net/tun")) return "no /dev/net/tun";
  const name = `hopscope-${process.pid}-probe`;
  if (spawnSync("ip", ["netns", "add", name]).status !== 0) return "no permission to make a network namespace";
  spawnSync("ip", ["netns", "delete", name]);
  return null;
}

/** Everything that a test started, in the order in which it has to go. */
export class Stage {
  private readonly children: ChildProcess[] = [];
  private readonly namespaces: string[] = [];

  /** Starts a program; its output is collected. */
  start(command: string, args: readonly string[]): Running {
    const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, NO_COLOR: "1" } });
    this.children.push(child);
    return new Running(child);
  }

  /** `hopscope attach`, once it listens. */
  async attach(args: readonly string[]): Promise<Running> {
    const running = this.start(process.execPath, ["--import", "tsx", "src/cli/main.ts", "attach", ...args]);
    await running.says(/listening on/);
    return running;
  }

  /** A namespace with loopback up. */
  namespace(): string {
    const name = `hopscope-${process.pid}-${this.namespaces.length}`;
    ip("netns", "add", name);
    this.namespaces.push(name);
    ip("-n", name, "link", "set", "lo", "up");
    return name;
  }

  /** Gives `device`, which lies in `namespace`, the guest's address at vpnkit. */
  configure(namespace: string, device: string): void {
    ip("-n", namespace, "link", "set", device, "up");
    ip("-n", namespace, "address", "add", "192.168.65.3/24", "dev", device);
    ip("-n", namespace, "route", "add", "default", "via", "192.168.65.1");
  }

  async end(): Promise<void> {
    for (const child of this.children.reverse()) if (child.exitCode === null) child.kill("SIGKILL");
    await sleep(50);
    for (const name of this.namespaces) spawnSync("ip", ["netns", "delete", name]);
  }
}

/** A program that runs, and what it has said. */
export class Running {
  output = "";
  private status: number | null = null;
  private readonly ended: Promise<void>;

  constructor(readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (data: Buffer) => {
        this.output += data.toString("latin1");
      });
    this.ended = new Promise((resolve) => {
      child.on("close", (status) => {
        this.status = status ?? -1;
        resolve();
      });
    });
  }

  /** Waits for it to say something; throws with what it said instead where it ends before, or takes too long. */
  async says(what: RegExp, seconds = 60): Promise<void> {
    for (let turn = 0; turn < seconds * 20; turn++) {
      if (what.test(this.output)) return;
      if (this.status !== null) break;
      await sleep(50);
    }
    throw new Error(`${what} was not said: ${this.output}`);
  }

  async interrupt(): Promise<number | null> {
    this.child.kill("SIGINT");
    return this.end();
  }

  async end(): Promise<number | null> {
    await this.ended;
    return this.status;
  }
}

export function ip(...args: string[]): void {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}

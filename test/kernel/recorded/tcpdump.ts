import type { CapturedFrame } from "../../../src/trace/capture.ts";
import { Tcpdump } from "../../../src/trace/tcpdump.ts";

const DIRECTIONS: Readonly<Record<string, string>> = { host: "In", broadcast: "B", multicast: "M", otherhost: "P" };

/** Prints frames as the recordings have them: as `tcpdump -n -i any` does, with TCP options and HTTP left out. */
export class RecordedTcpdump {
  private readonly printer = new Tcpdump();

  /** `print` is asked of every frame of a namespace, in order. */
  print(device: string, { direction, type, bytes }: CapturedFrame): string {
    const words = direction === "out" ? "Out" : DIRECTIONS[type]!;
    const text = this.printer
      .print(bytes)
      .replace(/, options \[[^\]]*\]/, "")
      .replace(/(length \d+): HTTP.*/, "$1");
    return `${device.padEnd(5)} ${words.padEnd(3)} ${text}`;
  }
}

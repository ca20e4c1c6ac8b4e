import type { Machine } from "./machine.ts";
import { type Printed, printed, Refusal, unmodelled } from "./printed.ts";
import type { Words } from "./words.ts";

/** What else iproute2 sets. */
const KNOWN = "address arp master nomaster mtu multicast name netns promisc qlen txqueuelen type vf alias group".split(
  " ",
);

/** `ip link set [dev] DEVICE up|down`. */
export function readSwitch(words: Words, { host, world }: Machine): Printed {
  let name: string | null = null;
  let up: boolean | null = null;
  while (!words.done) {
    const word = words.next();
    if (word === "up" || word === "down") up = word === "up";
    else if (word === "dev") name = words.need();
    else if (name === null) name = word;
    else if (KNOWN.includes(word)) throw unmodelled(`ip link set ${word}`, "ip link set DEVICE up|down");
    else throw new Refusal(`Error: either "dev" is duplicate, or "${word}" is a garbage.`, 255);
  }
  if (name === null) throw new Refusal('Not enough information: "dev" argument is required.', 255);
  const device = host.net.device(name);
  if (device === null) throw new Refusal(`Cannot find device "${name}"`, 1);
  if (up !== null) device.setUp(up);
  world.settle();
  return printed("");
}

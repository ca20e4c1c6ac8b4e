import { describe, expect, test } from "vitest";
import { Lab } from "../../../src/scenario/lab.ts";
import type { LabFrame } from "../../../src/scenario/lab-case.ts";
import { packetBytes } from "../../../src/scenario/lab-packet.ts";
import { parseIpv4 } from "../../../src/wire/address.ts";
import { echo, INNER, routerCase, run, SERVER, table, tcp } from "./router.ts";

const C = "10.0.1.2";
const S = "10.0.2.2";
const client = { addrs: [["eth0", `${C}/24`]] as [string, string][], routes: [`default via ${INNER} dev eth0`] };
const server = {
  addrs: [["eth0", `${S}/24`]] as [string, string][],
  rules: table("filter", "-A INPUT -j DROP"),
};

const passages = (frames: readonly LabFrame[]): string[] => frames.map(({ ns, dev, dir }) => `${ns}/${dev} ${dir}`);

/** Several packets of one namespace before anything that they cause happens; answers with the frames. */
function together(count: number, from: string, to: string, make: (id: number) => Uint8Array): string[] {
  const warm = { op: "raw", ns: "c", pkt: echo("0.0.0.0", to) };
  const lab = new Lab(routerCase([warm], { namespaces: { c: client, s: server } }));
  lab.run();
  const { fabric } = lab.world;
  const { scheduler } = fabric;
  const before = fabric.capture!.frames.length;
  const { net } = lab.world.host(from);
  scheduler.disable();
  for (let id = 1; id <= count; id++) net.sendRaw(make(id), parseIpv4(to), 0);
  scheduler.enable();
  return fabric.capture!.frames.slice(before).map(({ place, direction }) => {
    const name = fabric.names.get(place);
    return name?.kind === "device" ? `${name.namespace}/${name.device} ${direction}` : "";
  });
}

describe("1 Order of events", () => {
  test("Four TCP segments sent at once appear as out×4 on the sender, then in/out/in/out on the router, then in×4 on the receiver", () => {
    const seen = together(4, "c", S, (id) => packetBytes(tcp(`${C}:5000`, `${S}:80`, "PA", { seq: id }, { id })));
    expect(seen).toEqual([
      ...new Array(4).fill("c/eth0 out"),
      ...new Array(4).fill(["router/eth0 in", "router/eth1 out"]).flat(),
      ...new Array(4).fill("s/eth0 in"),
    ]);
  });

  test("each veth or lo crossing enqueues", () => {
    const seen = together(2, "c", "127.0.0.1", (id) => packetBytes(echo("127.0.0.1", "127.0.0.1", id)));
    expect(seen).toEqual([
      ...["c/lo out", "c/lo out"],
      ...["c/lo in", "c/lo out", "c/lo in", "c/lo out"],
      ...["c/lo in", "c/lo in"],
    ]);
  });

  const bridged = (dst: string) =>
    run({
      namespaces: {
        host: {
          devs: {
            br0: { type: "bridge" },
            v1: { master: "br0" },
            v2: { master: "br0" },
            v3: { master: "br0" },
            v4: { master: "br0" },
          },
          addrs: [["br0", "10.0.1.1/24"]],
        },
        a: {},
        b: {},
        c: {},
        d: {},
      },
      veths: [
        ["host/v1", "a/eth0"],
        ["host/v2", "b/eth0"],
        ["host/v3", "c/eth0"],
        ["host/v4", "d/eth0"],
      ],
      steps: [{ op: "frame", at: "b/eth0", frame: { eth: { src: "02:00:00:00:02:01", dst }, hex: "00" } }],
    }).steps[0]!;

  test("Bridge flooding goes to ports in reverse order of attachment", () => {
    expect(passages(bridged("02:00:00:00:99:99").frames)).toEqual([
      ...["b/eth0 out", "host/v2 in", "host/v4 out", "host/v3 out", "host/v1 out"],
      ...["d/eth0 in", "c/eth0 in", "a/eth0 in"],
    ]);
  });

  test("then up to the bridge device; on broadcast the copies leave before local delivery", () => {
    expect(passages(bridged("ff:ff:ff:ff:ff:ff").frames)).toEqual([
      ...["b/eth0 out", "host/v2 in", "host/v4 out", "host/v3 out", "host/v1 out", "host/br0 in"],
      ...["d/eth0 in", "c/eth0 in", "a/eth0 in"],
    ]);
  });

  test("inside one namespace processing runs to completion", () => {
    const asks = { op: "raw", ns: "c", pkt: echo(C, SERVER, 7, { ttl: 1 }) };
    const result = run(routerCase([asks, asks], { namespaces: { c: client } }));
    expect(passages(result.steps[1]!.frames)).toEqual(["c/eth0 out", "router/eth0 in", "router/eth0 out", "c/eth0 in"]);
  });
});

import { expect, it } from "vitest";
import { type FrameSpec, frameBytes } from "../../src/scenario/lab-packet.ts";
import { buildLab } from "../../src/scenario/lab-world.ts";
import { Random } from "../../src/sim/random.ts";
import { balance } from "./balance.ts";

const RULES = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT
-A FORWARD -p udp -m multiport --dports 53,80 -j REJECT
-A FORWARD -i br0 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 5353 -j DNAT --to-destination 172.17.0.3:53
-A POSTROUTING -s 172.17.0.0/16 ! -o br0 -j MASQUERADE
COMMIT
`;

const lab = () =>
  buildLab({
    namespaces: {
      c1: { addrs: [["eth0", "172.17.0.2/16"]], routes: ["default via 172.17.0.1 dev eth0"] },
      c2: { addrs: [["eth0", "172.17.0.3/16"]], routes: ["default via 172.17.0.1 dev eth0"] },
      host: {
        sysctls: { "net.ipv4.ip_forward": 1 },
        devs: { br0: { type: "bridge", mac: "02:00:00:00:aa:01" }, v1: { master: "br0" }, v2: { master: "br0" } },
        addrs: [
          ["br0", "172.17.0.1/16"],
          ["eth0", "192.168.1.10/24"],
        ],
        routes: ["default via 192.168.1.1 dev eth0"],
        rules: RULES,
      },
      out: { sysctls: { "net.ipv4.ip_forward": 1 }, addrs: [["eth0", "192.168.1.1/24"]] },
    },
    veths: [
      ["host/v1", "c1/eth0"],
      ["host/v2", "c2/eth0"],
      ["host/eth0", "out/eth0"],
    ],
  });

const eth = { src: "02:00:00:00:00:01", dst: "02:00:00:00:aa:01" };
const seeds: FrameSpec[] = [
  { eth, ip: { src: "172.17.0.2", dst: "192.168.1.1" }, udp: { sport: 4000, dport: 53, size: 40 } },
  { eth, ip: { src: "172.17.0.2", dst: "172.17.0.1" }, icmp: { type: 8, id: 7, seq: 1, size: 56 } },
  {
    eth,
    ip: { src: "172.17.0.2", dst: "192.168.1.1", ttl: 1 },
    tcp: { sport: 4000, dport: 80, opts: "020405b40402080a00000001000000000103030a" },
  },
  {
    eth,
    ip: { src: "172.17.0.2", dst: "192.168.1.1", opts: "0702088344040000" },
    udp: { sport: 1, dport: 2, size: 4 },
  },
  { eth, ip: { src: "172.17.0.2", dst: "192.168.1.1", mf: true, id: 77 }, udp: { sport: 1, dport: 5353, size: 64 } },
  { eth, ip: { src: "172.17.0.2", dst: "192.168.1.1", off: 72, id: 77 }, raw: "00".repeat(32), proto: 17 },
  {
    eth,
    ip: { src: "172.17.0.2", dst: "192.168.1.10" },
    icmp: {
      type: 3,
      code: 3,
      inner: { ip: { src: "192.168.1.1", dst: "172.17.0.2" }, udp: { sport: 53, dport: 4000, size: 8 } },
    },
  },
  { eth: { ...eth, dst: "ff:ff:ff:ff:ff:ff" }, arp: { spa: "172.17.0.2", tpa: "172.17.0.1" } },
  {
    eth: { ...eth, dst: "01:00:5e:00:00:01" },
    ip: { src: "172.17.0.2", dst: "224.0.0.1" },
    udp: { sport: 5, dport: 5 },
  },
];

/** A frame that was once right: bits flipped, bytes set, cut off or made longer; or nothing but chance. */
function mutate(random: Random, good: readonly Uint8Array[]): Uint8Array {
  if (random.chance(0.05)) return Uint8Array.from({ length: 14 + random.below(200) }, () => random.below(256));
  const frame = good[random.below(good.length)]!.slice();
  for (let i = random.below(6); i > 0; i--) {
    const at = random.chance(0.7) ? Math.min(frame.length - 1, 14 + random.below(48)) : random.below(frame.length);
    frame[at] = random.chance(0.5) ? random.below(256) : frame[at]! ^ (1 << random.below(8));
  }
  if (random.chance(0.2)) return frame.slice(0, random.below(frame.length + 1));
  return frame;
}

it("accounts for every one of 1,000,000 random and mutated frames through a bridge and a router", {
  timeout: 300_000,
}, () => {
  const world = lab();
  const random = new Random(20_261_122);
  const good = seeds.map((spec) => frameBytes(spec));
  const entries = [world.device("c1", "eth0"), world.device("c2", "eth0"), world.device("out", "eth0")];
  let refused = 0;
  for (let i = 0; i < 1_000_000; i++) {
    if (entries[random.below(3)]!.inject(mutate(random, good)) !== null) refused++;
    if (i % 50_000 === 0) world.run(world.fabric.scheduler.now + 1e9);
  }
  world.run(world.fabric.scheduler.now + 120e9);
  expect(world.fabric.books.injected).toBe(1_000_000 - refused);
  expect(balance(world)).toEqual({ missing: 0, held: 0 });
});

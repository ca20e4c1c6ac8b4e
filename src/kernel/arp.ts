import { FRAME, NETWORK, type Packet } from "../packet/packet.ts";
import { isLoopback, isMulticast } from "../wire/address.ts";
import * as arp from "../wire/arp.ts";
import * as ethernet from "../wire/ethernet.ts";
import { type InDevice, selectAddress } from "./in-device.ts";
import { outDevice } from "./ip-output.ts";
import type { Namespace } from "./namespace.ts";
import { type Neighbour, neighbourOf } from "./neighbour.ts";
import { routeForArp, routeOutput } from "./route.ts";

const FRAME_LENGTH = ethernet.ETHERNET_HEADER + arp.ARP_LENGTH;

/** `proxy_delay` in ticks of a 250 Hz clock, and a tick in nanoseconds. */
const PROXY_DELAY = 200;
const TICK = 4e6;

interface Party {
  high: number;
  low: number;
  address: number;
}

/** `arp_send()`. */
function sendArp(device: InDevice, operation: number, sender: number, target: Party, to: Party, parent: number): void {
  const { fabric } = device.net;
  const { device: link } = device;
  const packet = fabric.generate(FRAME_LENGTH, parent);
  const { view } = packet;
  ethernet.setDestination(view, FRAME, to.high, to.low);
  ethernet.setSource(view, FRAME, link.macHigh, link.macLow);
  ethernet.setEtherType(view, FRAME, ethernet.ETHERTYPE_ARP);
  arp.write(view, NETWORK, operation, { high: link.macHigh, low: link.macLow, address: sender }, target);
  device.net.born(packet, link.place, FRAME);
  link.send(packet);
}

/** `arp_solicit()`: asks for `neighbour`; `source` is that of the packet that waits, `unicast` asks the old address only. */
export function arpSolicit(neighbour: Neighbour, source: number, unicast: boolean, parent: number): void {
  const { device, address } = neighbour;
  const { net } = device;
  let sender = 0;
  const announce = net.sysctls.effective(device.device.name, "arp_announce");
  if (announce < 2 && source !== 0 && net.addressType(source, null) === "LOCAL") {
    if (announce === 0 || device.onLink(address, source)) sender = source;
  }
  if (sender === 0) sender = selectAddress(net, device, address, "link");
  const target = { high: 0, low: 0, address };
  const to = unicast ? { high: neighbour.macHigh, low: neighbour.macLow, address } : { high: 0xffff, low: -1, address };
  sendArp(device, arp.ARP_REQUEST, sender, target, to, parent);
}

/** A gratuitous ARP request: who has my own address? Everybody learns from it who has. */
export function announceAddress(device: InDevice, address: number): void {
  const everybody = { high: 0xffff, low: -1, address };
  sendArp(device, arp.ARP_REQUEST, address, { high: 0, low: 0, address }, everybody, 0);
}

/** `arp_ignore()`: true when this device must not answer for `target`. */
function ignores(net: Namespace, device: InDevice, sender: number, target: number): boolean {
  const level = net.sysctls.effective(device.device.name, "arp_ignore");
  if (level === 0) return false;
  if (level === 1) return !device.addresses.some((ifa) => ifa.address === target);
  if (level === 2) {
    const own = device.addresses.some((ifa) => ifa.address === target);
    return !own || (sender !== 0 && !device.onLink(target, sender));
  }
  if (level === 3) {
    for (const other of net.inDevices.values())
      if (other.addresses.some((ifa) => ifa.address === target && ifa.scope !== "host")) return false;
    return true;
  }
  return level === 8;
}

/** `arp_filter()`: true when packets to the sender would not leave by the device that was asked. */
function leavesElsewhere(net: Namespace, device: InDevice, sender: number, target: number): boolean {
  if (net.sysctls.effective(device.device.name, "arp_filter") === 0) return false;
  const found = routeOutput(net, { destination: sender, source: target, tos: 0, mark: 0, device: 0 });
  return found.error !== null || outDevice(net, found.route) !== device;
}

/** `arp_accept()`. */
function accepts(device: InDevice, address: number): boolean {
  const level = device.net.sysctls.effective(device.device.name, "arp_accept");
  return level === 1 || (level === 2 && device.onLink(address, 0));
}

/** `arp_is_garp()`: somebody announces an address of its own. */
function isGratuitous(packet: Packet, device: InDevice, operation: number): boolean {
  const { view } = packet;
  const address = arp.senderAddress(view, NETWORK);
  if (address !== arp.targetAddress(view, NETWORK)) return false;
  if (operation === arp.ARP_REPLY) {
    if (arp.senderHigh(view, NETWORK) !== arp.targetHigh(view, NETWORK)) return false;
    if (arp.senderLow(view, NETWORK) !== arp.targetLow(view, NETWORK)) return false;
  }
  return device.net.addressType(address, null) === "UNICAST";
}

const proxies = (device: InDevice): boolean => device.net.sysctls.effective(device.device.name, "proxy_arp") !== 0;

/** `arp_rcv()`, `arp_process()`. Takes ownership. */
export function arpReceive(packet: Packet, device: InDevice): void {
  const { net } = device;
  const { view } = packet;
  const { place } = device.device;
  const bad = arp.check(view, NETWORK, packet.end);
  if (packet.type === "otherhost" || device.isLoopback || bad !== null) {
    net.fabric.drop(packet, place, packet.type === "otherhost" ? "OTHERHOST" : (bad ?? "NOT_SPECIFIED"));
    return;
  }
  const operation = arp.operation(view, NETWORK);
  const target = arp.targetAddress(view, NETWORK);
  const unusable = isMulticast(target) || (isLoopback(target) && !device.routeLocalnet);
  if (unusable || (operation !== arp.ARP_REQUEST && operation !== arp.ARP_REPLY)) {
    net.fabric.drop(packet, place, "NOT_SPECIFIED");
    return;
  }
  const answered = operation === arp.ARP_REQUEST && answer(packet, device, target);
  if (!answered) learn(packet, device, operation, target);
  net.fabric.consume(packet, place, "ARP");
}

/** True when the request was ours to answer, or to keep silent about. Borrows the packet. */
function answer(packet: Packet, device: InDevice, target: number): boolean {
  const { net } = device;
  const { view } = packet;
  const sender: Party = {
    high: arp.senderHigh(view, NETWORK),
    low: arp.senderLow(view, NETWORK),
    address: arp.senderAddress(view, NETWORK),
  };
  if (sender.address === 0) {
    if (net.addressType(target, null) === "LOCAL" && !ignores(net, device, 0, target))
      sendArp(device, arp.ARP_REPLY, target, sender, sender, packet.id);
    return true;
  }
  const route = routeForArp(packet, device, target, sender.address);
  if (route === null) return false;
  if (route.type === "local") {
    if (ignores(net, device, sender.address, target)) return true;
    if (leavesElsewhere(net, device, sender.address, target)) return true;
  } else if (route.type !== "unicast" || route.device === device || !device.forwarding || !proxies(device))
    return false;
  else if (packet.type !== "host") {
    neighbourOf(device, sender.address).update(sender.high, sender.low, "STALE", true);
    answerLater(device, target, sender, packet.id);
    return true;
  }
  neighbourOf(device, sender.address).update(sender.high, sender.low, "STALE", true);
  sendArp(device, arp.ARP_REPLY, target, sender, sender, packet.id);
  return true;
}

/** `pneigh_enqueue()`: the owner of the address may answer first, so a proxy waits up to `proxy_delay` (0.8 s). */
function answerLater(device: InDevice, target: number, sender: Party, parent: number): void {
  const { scheduler } = device.net.fabric;
  const answer = () => sendArp(device, arp.ARP_REPLY, target, sender, sender, parent);
  scheduler.timer(answer).armIn(device.net.random.below(PROXY_DELAY) * TICK);
}

/** The rest of `arp_process()`: news of a neighbour that we know, or may learn of. */
function learn(packet: Packet, device: InDevice, operation: number, target: number): void {
  const { net } = device;
  const { view } = packet;
  const address = arp.senderAddress(view, NETWORK);
  if (address === target && net.sysctls.effective(device.device.name, "drop_gratuitous_arp") !== 0) return;
  const gratuitous = isGratuitous(packet, device, operation);
  let neighbour = device.neighbours.get(address);
  if (neighbour === undefined) {
    if (!accepts(device, address)) return;
    const told = operation === arp.ARP_REPLY && net.addressType(address, null) === "UNICAST";
    if (!gratuitous && !told) return;
    neighbour = neighbourOf(device, address);
  }
  const reply = operation === arp.ARP_REPLY && packet.type === "host";
  const override = neighbour.unlocked || gratuitous;
  neighbour.update(
    arp.senderHigh(view, NETWORK),
    arp.senderLow(view, NETWORK),
    reply ? "REACHABLE" : "STALE",
    override,
  );
}

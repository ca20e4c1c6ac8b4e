import { describe, expect, it } from "vitest";
import { formatIpv4, parseIpv4 } from "../../src/wire/address.ts";
import * as dhcp from "../../src/wire/dhcp.ts";
import { udpPacket } from "../frames.ts";
import { GATEWAY, GUEST, REMOTE, SERVER_MAC, type Seen, TranslatorStage } from "./stage.ts";

function request(type: number, options: number[] = [], mac = [2, 0x50, 0, 0, 0, 1], ciaddr = 0): number[] {
  const bytes = new Uint8Array(dhcp.DHCP_HEADER);
  const view = new DataView(bytes.buffer);
  bytes.set([1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
  view.setInt32(12, ciaddr);
  bytes.set(mac, 28);
  view.setInt32(236, 0x63825363);
  return [...bytes, 53, 1, type, ...options, 255];
}

function send(stage: TranslatorStage, data: number[], mac?: string): Seen[] {
  const fields = { source: "0.0.0.0", destination: "255.255.255.255", sourcePort: 68, destinationPort: 67 };
  stage.send(udpPacket(stage.pool, fields, data), {
    destination: "ff:ff:ff:ff:ff:ff",
    ...(mac ? { source: mac } : {}),
  });
  return stage.take();
}

function options({ view, at, bytes }: Seen): Record<number, number[]> {
  const found: Record<number, number[]> = {};
  for (let i = at + 8 + dhcp.DHCP_HEADER; bytes[i] !== 255; i += 2 + view.getUint8(i + 1))
    found[bytes[i]!] = [...bytes.subarray(i + 2, i + 2 + bytes[i + 1]!)];
  return found;
}

const dotted = (address: string) => address.split(".").map(Number);

describe("DHCP of vpnkit", () => {
  it("offers exactly one address, for 68 years, with options 3, 6, 42, 28, 1, 15 and 119, and no MTU", () => {
    const stage = new TranslatorStage({ searchDomains: ["corp.example"] });
    const [offer] = send(stage, request(dhcp.DISCOVER));
    expect(offer).toMatchObject({ source: GATEWAY, destination: GUEST, sourceMac: SERVER_MAC });
    expect(formatIpv4(dhcp.yourAddress(offer!.view, offer!.at + 8))).toBe(GUEST);
    expect(options(offer!)).toEqual({
      53: [dhcp.OFFER],
      54: dotted(GATEWAY),
      51: [0x7f, 0xff, 0xff, 0xff],
      3: dotted(GATEWAY),
      6: dotted(GATEWAY),
      42: dotted(GATEWAY),
      28: dotted("192.168.65.255"),
      1: dotted("255.255.255.0"),
      15: [..."localdomain"].map((letter) => letter.charCodeAt(0)),
      119: [4, ..."corp", 7, ..."example", 0].map((part) => (typeof part === "string" ? part.charCodeAt(0) : part)),
    });
    const [ack] = send(stage, request(dhcp.REQUEST, [50, 4, ...dotted(GUEST)]));
    expect(options(ack!)[53]).toEqual([dhcp.ACK]);
    const [other] = send(stage, request(dhcp.DISCOVER, [], [2, 0x50, 0, 0, 0, 9]), "02:50:00:00:00:09");
    expect(formatIpv4(dhcp.yourAddress(other!.view, other!.at + 8))).toBe(GUEST);
  });

  it("refuses another address by NAK, sent to everybody", () => {
    const stage = new TranslatorStage();
    const [nak] = send(stage, request(dhcp.REQUEST, [50, 4, 192, 168, 65, 99]));
    expect(nak).toMatchObject({ destination: "255.255.255.255", destinationMac: "ff:ff:ff:ff:ff:ff" });
    expect(options(nak!)).toEqual({ 53: [dhcp.NAK], 54: dotted(GATEWAY) });
  });

  it("leaves requests to another server alone", () => {
    const stage = new TranslatorStage();
    expect(send(stage, request(dhcp.REQUEST, [54, 4, 10, 0, 0, 1, 50, 4, ...dotted(GUEST)]))).toEqual([]);
    expect(stage.balanced).toBe(true);
  });

  it("renews to the client's own address", () => {
    const stage = new TranslatorStage();
    const [ack] = send(stage, request(dhcp.REQUEST, [], undefined, parseIpv4(GUEST)));
    expect(ack).toMatchObject({ destination: GUEST });
    expect(options(ack!)[53]).toEqual([dhcp.ACK]);
  });

  it("drops what it cannot read", () => {
    const stage = new TranslatorStage();
    expect(send(stage, [1, 2, 3])).toEqual([]);
    expect(send(stage, request(dhcp.DISCOVER).slice(0, 240))).toEqual([]);
    expect(stage.drops()).toEqual({ DHCP_MALFORMED: 2 });
  });
});

describe("DHCP of other presets", () => {
  it("of gvproxy leases for an hour, tells the MTU, and gives each client an address", () => {
    const stage = new TranslatorStage({ preset: "gvproxy" });
    const [first] = send(stage, request(dhcp.DISCOVER));
    const [second] = send(stage, request(dhcp.DISCOVER, [], [2, 0x50, 0, 0, 0, 9]));
    const addresses = [first!, second!].map(({ view, at }) => formatIpv4(dhcp.yourAddress(view, at + 8)));
    expect(addresses).toEqual(["192.168.127.2", "192.168.127.3"]);
    expect(options(first!)).toMatchObject({ 51: [0, 0, 14, 16], 26: [5, 220] });
    expect(options(first!)).not.toHaveProperty("42");
  });

  it("of slirp4netns has 16 addresses from 10.0.2.15 on for 24 h, and DNS at .3", () => {
    const stage = new TranslatorStage({ preset: "slirp4netns" });
    for (let i = 0; i < 16; i++) {
      const [offer] = send(stage, request(dhcp.DISCOVER, [], [2, 0x50, 0, 0, 1, i]));
      expect(formatIpv4(dhcp.yourAddress(offer!.view, offer!.at + 8))).toBe(`10.0.2.${15 + i}`);
      expect(options(offer!)).toMatchObject({ 6: [10, 0, 2, 3], 3: [10, 0, 2, 2], 51: [0, 1, 81, 128] });
    }
    expect(send(stage, request(dhcp.DISCOVER, [], [2, 0x50, 0, 0, 1, 99]))).toEqual([]);
    expect(stage.drops()).toEqual({ DHCP_NO_ADDRESS: 1 });
  });

  it("takes port 67 of any host for itself", () => {
    const stage = new TranslatorStage();
    stage.send(udpPacket(stage.pool, { source: GUEST, destination: REMOTE, destinationPort: 67 }, [1]));
    expect(stage.drops()).toEqual({ DHCP_MALFORMED: 1 });
  });
});

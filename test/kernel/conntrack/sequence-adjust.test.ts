import { describe, expect, it } from "vitest";
import { Connection } from "../../../src/kernel/conntrack/connection.ts";
import { adjustSequence, shiftAt, shiftSequence } from "../../../src/kernel/conntrack/sequence-adjust.ts";
import { Pool } from "../../../src/packet/pool.ts";
import * as tcp from "../../../src/wire/tcp.ts";
import { isIntact, TRANSPORT, tcpPacket } from "../../frames.ts";

const pool = new Pool();

describe("sequence numbers of a stream that NAT has lengthened", () => {
  const connection = new Connection(1, 0);
  shiftSequence(connection, 0, 1000, 7);
  shiftSequence(connection, 0, 2000, -3);

  it("are shifted behind the place where it changed, and once for each change", () => {
    expect([1000, 1001, 2000, 2001].map((sequence) => shiftAt(connection, 0, sequence))).toEqual([7, 7, 7, 4]);
    expect(shiftAt(connection, 1, 5000)).toBe(0);
    shiftSequence(connection, 0, 2000, -3);
    expect(shiftAt(connection, 0, 2001)).toBe(4);
  });

  it("go forward in its own direction, and acknowledgements and SACK back in the other; the checksum stays right", () => {
    const sent = tcpPacket(pool, { sequence: 2500, flags: tcp.ACK });
    adjustSequence(sent, connection, 0);
    expect(tcp.sequenceNumber(sent.view, TRANSPORT)).toBe(2504);
    expect(isIntact(sent)).toBe(true);
    const sack = [1, 1, 5, 10, 0, 0, 0x0b, 0xb8, 0, 0, 0x0f, 0xa0];
    const answer = tcpPacket(pool, { acknowledgement: 2504, flags: tcp.ACK, options: sack });
    adjustSequence(answer, connection, 1);
    expect(tcp.acknowledgement(answer.view, TRANSPORT)).toBe(2500);
    expect([24, 28].map((at) => answer.view.getUint32(TRANSPORT + at))).toEqual([3000 - 4, 4000 - 4]);
    expect(isIntact(answer)).toBe(true);
  });
});

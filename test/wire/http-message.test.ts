import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bodyLength, formatHead, HttpReader, header, parseHead } from "../../src/wire/http-message.ts";
import { bytesOf } from "../../src/wire/text.ts";

/** What a reader makes of these bytes, cut at the places given. */
function read(text: string, cuts: readonly number[] = [], kind: "request" | "response" = "response") {
  const seen: string[] = [];
  let body = "";
  const reader = new HttpReader({
    head(head) {
      seen.push(head.start);
      return bodyLength(head, kind) ?? "close";
    },
    body(data) {
      body += String.fromCharCode(...data);
    },
    end() {
      seen.push(body);
      body = "";
    },
    bad: (what) => seen.push(`bad: ${what}`),
  });
  const bytes = bytesOf(text);
  let from = 0;
  for (const cut of [...cuts, bytes.length].map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b)) {
    reader.push(bytes.subarray(from, cut));
    from = cut;
  }
  return { seen, whole: reader.finish(), reader };
}

const OK = "HTTP/1.1 200 OK\r\n";
const MESSAGES: readonly (readonly [string, string, string[]])[] = [
  ["a length", `${OK}Content-Length: 5\r\n\r\nhello`, ["HTTP/1.1 200 OK", "hello"]],
  ["no body", `${OK}Content-Length: 0\r\n\r\n`, ["HTTP/1.1 200 OK", ""]],
  [
    "chunks",
    `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, world!!!\r\n0\r\nTrailer: x\r\n\r\n`,
    ["HTTP/1.1 200 OK", "hello, world!!!"],
  ],
  ["the end of the connection", `${OK}\r\nhello`, ["HTTP/1.1 200 OK", "hello"]],
  [
    "two messages in one go",
    `${OK}Content-Length: 1\r\n\r\na${OK}Content-Length: 1\r\n\r\nb`,
    ["HTTP/1.1 200 OK", "a", "HTTP/1.1 200 OK", "b"],
  ],
  ["bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", ["HTTP/1.1 200 OK", "ok"]],
];

describe("a reader of HTTP messages", () => {
  it.each(MESSAGES)("reads %s, wherever the bytes are cut", (_, text, expected) => {
    for (let cut = 0; cut <= text.length; cut++) expect(read(text, [cut]).seen).toEqual(expected);
    const everywhere = Array.from({ length: text.length }, (_unused, i) => i);
    expect(read(text, everywhere)).toMatchObject({ seen: expected, whole: true });
  });

  it("knows how much is missing when the connection ends too early", () => {
    const { whole, reader } = read(`${OK}Content-Length: 60\r\n\r\nhello\n`);
    expect(whole).toBe(false);
    expect(reader.missing).toBe(54);
    expect(read(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhe`)).toMatchObject({ whole: false });
  });

  it.each([
    [`${OK}no colon\r\n\r\n`, "bad: a head that is none"],
    [`${OK}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`, "bad: a chunk without its size"],
    [`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n`, "bad: a chunk that is longer than it says"],
    ["a".repeat(70_000), "bad: a head or a line that is too long"],
  ])("refuses %s", (text, expected) => {
    expect(read(text).seen.at(-1)).toBe(expected);
  });

  it("never fails on any bytes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii", maxLength: 200 }), fc.array(fc.nat(200)), (text, cuts) => {
        read(text, cuts);
        read(`${OK}Transfer-Encoding: chunked\r\n\r\n${text}`, cuts);
      }),
    );
  });
});

describe("the head of a message", () => {
  it("comes back from its text as it was", () => {
    const head = {
      start: "GET / HTTP/1.1",
      headers: [
        ["Host", "a:80"],
        ["X-Empty", ""],
      ] as const,
    };
    expect(parseHead(formatHead(head).replace(/\r\n\r\n$/, ""))).toEqual(head);
    expect(header(head, "host")).toBe("a:80");
    expect(header(head, "cookie")).toBeNull();
  });

  it("says how long the body is", () => {
    const length = (...headers: [string, string][]) => bodyLength({ start: "x", headers }, "response");
    expect(length()).toBe("close");
    expect(bodyLength({ start: "x", headers: [] }, "request")).toBe(0);
    expect(length(["content-length", "12"])).toBe(12);
    expect(length(["content-length", "-1"])).toBeNull();
    expect(length(["content-length", "12"], ["Transfer-Encoding", "gzip, Chunked"])).toBe("chunked");
  });
});

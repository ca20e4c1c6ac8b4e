import type { Arguments, Grammar } from "./command-line.ts";
import { parseUrl, type Url } from "./url.ts";

/** Times in nanoseconds. */
export interface CurlOptions {
  readonly url: Url;
  readonly method: string;
  /** `-H`, as written. */
  readonly headers: readonly string[];
  readonly agent: string;
  readonly data: string | null;
  readonly verbose: boolean;
  /** `-i` or `-I`: the head of the response is output, too. */
  readonly include: boolean;
  readonly fail: boolean;
  /** Errors are printed. */
  readonly showErrors: boolean;
  /** The body is printed; otherwise it goes to a file. */
  readonly print: boolean;
  readonly writeOut: string | null;
  readonly connectTimeout: number;
  /** 0 for none. */
  readonly maxTime: number;
  /** `-x`; null asks the environment, empty means none. */
  readonly proxy: string | null;
  /** `--noproxy`; null asks the environment. */
  readonly noProxy: string | null;
  /** `-p`: a tunnel for http, too. */
  readonly tunnel: boolean;
}

export const CURL_GRAMMAR: Grammar = {
  letters: "vsSifIkpX:H:A:d:o:w:m:x:4",
  long: {
    verbose: "v",
    silent: "s",
    "show-error": "S",
    include: "i",
    fail: "f",
    head: "I",
    proxytunnel: "p",
    request: "X",
    header: "H",
    "user-agent": "A",
    data: "d",
    output: "o",
    "write-out": "w",
    "max-time": "m",
    proxy: "x",
    ipv4: "4",
    "connect-timeout": ":",
    noproxy: ":",
  },
};

/** `curl` 7.88, as its options are read. @throws {InputError}. */
export function parseCurlOptions(words: Arguments): CurlOptions {
  const operand = words.operand("a URL");
  const url = parseUrl(operand.text);
  if (url === null) throw words.error(operand, "an http:// or https:// URL such as http://web.example:8080/path");
  words.finish();
  const data = words.all("d").map(({ text }) => text);
  const body = data.length === 0 ? null : data.join("&");
  const usual = words.has("I") ? "HEAD" : body === null ? "GET" : "POST";
  for (const word of words.all("H"))
    if (!/^[^:;\s]+[:;]/.test(word.text)) throw words.error(word, "a header such as 'Host: web.example'");
  return {
    url,
    method: words.option("X")?.text ?? usual,
    headers: words.all("H").map(({ text }) => text),
    agent: words.option("A")?.text ?? "curl/7.88.1",
    data: body,
    verbose: words.has("v"),
    include: words.has("i") || words.has("I"),
    fail: words.has("f"),
    showErrors: !words.has("s") || words.has("S"),
    print: words.option("o") === null,
    writeOut: words.option("w")?.text ?? null,
    connectTimeout: words.seconds("connect-timeout", 300),
    maxTime: words.seconds("m", 0),
    proxy: words.option("x")?.text ?? null,
    noProxy: words.option("noproxy")?.text ?? null,
    tunnel: words.has("p") || url.scheme === "https",
  };
}

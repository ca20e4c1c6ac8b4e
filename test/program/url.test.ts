import { describe, expect, it } from "vitest";
import { bypassesProxy, hostHeader, noProxyOf, parseUrl, proxyFromEnvironment } from "../../src/program/url.ts";

describe("a URL", () => {
  it.each([
    ["http://web.example", { scheme: "http", host: "web.example", port: 80, path: "/" }],
    ["web.example:8080/a/b?c=d#e", { scheme: "http", host: "web.example", port: 8080, path: "/a/b?c=d" }],
    ["https://10.0.0.1?q", { scheme: "https", host: "10.0.0.1", port: 443, path: "/?q" }],
    ["HTTP://A:1/", { scheme: "http", host: "A", port: 1, path: "/" }],
  ])("%s is read", (text, url) => {
    expect(parseUrl(text)).toEqual(url);
  });

  it.each([
    "ftp://x",
    "http://",
    "http://a:0/",
    "http://a:70000/",
    "http://10.0.0.256/",
    "http://a b/",
    "http://u:p@h/",
    "",
  ])("%j is none", (text) => {
    expect(parseUrl(text)).toBeNull();
  });

  it("names its port in the Host header unless the scheme has it anyway", () => {
    expect(hostHeader(parseUrl("http://a:80/")!)).toBe("a");
    expect(hostHeader(parseUrl("https://a:80/")!)).toBe("a:80");
  });
});

describe("proxies in the environment", () => {
  const http = parseUrl("http://a/")!;
  const https = parseUrl("https://a/")!;

  it("HTTP_PROXY in capitals counts for nothing, as in curl", () => {
    expect(proxyFromEnvironment({ HTTP_PROXY: "x:1" }, http)).toBeNull();
    expect(proxyFromEnvironment({ HTTPS_PROXY: "x:1" }, https)).toEqual({ variable: "HTTPS_PROXY", value: "x:1" });
  });

  it("each scheme has its own, and all_proxy stands in", () => {
    const env = { http_proxy: "h:1", all_proxy: "a:1" };
    expect(proxyFromEnvironment(env, http)?.value).toBe("h:1");
    expect(proxyFromEnvironment(env, https)?.value).toBe("a:1");
    expect(proxyFromEnvironment({ http_proxy: "" }, http)).toBeNull();
  });

  it("no_proxy counts in either case", () => {
    expect(noProxyOf({ NO_PROXY: "x" })).toEqual({ variable: "NO_PROXY", value: "x" });
    expect(noProxyOf({})).toBeNull();
  });

  it.each([
    ["*", "a", true],
    ["web.example", "web.example", true],
    ["web.example", "WEB.example.", true],
    ["example", "web.example", true],
    [".example", "web.example", true],
    ["eb.example", "web.example", false],
    ["a, web.example", "web.example", true],
    ["web.example", "web.example.org", false],
    ["10.0.0.0/8", "10.1.2.3", true],
    ["10.0.0.0/8", "11.1.2.3", false],
    ["10.1.2.3", "10.1.2.3", true],
    ["10.1.2", "10.1.2.3", false],
    ["10.0.0.0/8", "ten.example", false],
    ["svc,.cluster.local", "db.ns.svc", true],
  ])("no_proxy=%s for %s: %s", (list, host, expected) => {
    expect(bypassesProxy(list, host)).toBe(expected);
  });
});

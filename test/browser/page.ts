import { subject } from "./subject.ts";

declare const document: { body: { textContent: string | null; dataset: Record<string, string> } };

/** Puts the subject's text, encoded so that no markup can touch it, where the test finds it in the dumped DOM. */
try {
  const { files, seed } = document.body.dataset;
  document.body.textContent = encodeURIComponent(subject(JSON.parse(decodeURIComponent(files!)), Number(seed)));
  document.body.dataset["outcome"] = "text";
} catch (error) {
  document.body.textContent = encodeURIComponent(String(error));
  document.body.dataset["outcome"] = "error";
}

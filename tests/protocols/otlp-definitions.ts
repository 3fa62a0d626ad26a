/** Makes the code under server/ingest/otlp/generated from the definitions beside it: `bun tests/protocols/otlp-definitions.ts`. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

const root = join(import.meta.dir, "../..");
export const generatedDirectory = join(root, "server/ingest/otlp/generated");

/** Content by path below `generatedDirectory`. */
export function generateOtlpCode(): Map<string, string> {
  const { file: protoFile } = fromBinary(
    FileDescriptorSetSchema,
    readFileSync(join(generatedDirectory, "definitions.binpb")),
  );
  const request = create(CodeGeneratorRequestSchema, {
    fileToGenerate: protoFile.map(({ name }) => name),
    parameter: "target=js+dts,import_extension=js",
    protoFile,
  });
  const generator = Bun.spawnSync([process.execPath, join(root, "node_modules/.bin/protoc-gen-es")], {
    stdin: toBinary(CodeGeneratorRequestSchema, request),
  });
  if (generator.exitCode !== 0) throw new Error(`protoc-gen-es failed: ${generator.stderr}`);
  const response = fromBinary(CodeGeneratorResponseSchema, generator.stdout);
  if (response.error) throw new Error(`protoc-gen-es failed: ${response.error}`);
  return new Map(response.file.map(({ name, content }) => [name, content]));
}

if (import.meta.main) {
  for (const [name, content] of generateOtlpCode()) {
    const path = join(generatedDirectory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

// Makes lib/transports/rpc/wire/generated/ out of proto/: encoders and decoders by protobufjs-cli, TypeScript interfaces and
// the file descriptors that the reflection service hands out. Run by every build; nothing of it is committed.
import { mkdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const require = createRequire(import.meta.url);
const protobuf = require('protobufjs');
require('protobufjs/ext/descriptor');
const pbjs = promisify(require('protobufjs-cli/pbjs').main);

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const names = ['sagequeue/v1/queue.proto', 'grpc/health/v1/health.proto', 'grpc/reflection/v1/reflection.proto'];
const files = names.map((name) => join(root, 'proto', name));
const out = join(root, 'lib/transports/rpc/wire/generated');
mkdirSync(out, { recursive: true });

/** Written only when it differs, so that an up-to-date tree keeps its time stamps. */
function write(name, text) {
  const path = join(out, name);
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
}

const options =
  '-t static-module --root sage-queue-wire --no-create --no-verify --no-convert --no-delimited --no-service --no-comments --no-typeurl';
const code = await pbjs([...options.split(' '), '-w', join(root, 'scripts/build/wire-wrapper.txt'), ...files]);
write('messages.ts', code);

const scalar = {
  string: 'string',
  bool: 'boolean',
  bytes: 'Uint8Array',
  uint32: 'number',
  int32: 'number',
  uint64: 'Integer',
};
function interfaces(namespace) {
  let text = '';
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) {
      const fields = nested.fieldsArray.map((field) => {
        const base =
          scalar[field.type] ??
          (field.resolve().resolvedType instanceof protobuf.Enum ? 'number' : field.resolvedType.name);
        return `  ${field.name}?: ${field.repeated ? `${base}[]` : base} | null;\n`;
      });
      text += `export interface ${nested.name} {\n${fields.join('')}}\n\n`;
    }
    if (nested.nestedArray) text += interfaces(nested);
  }
  return text;
}
function services(namespace) {
  const own = namespace.nestedArray
    .filter((nested) => nested instanceof protobuf.Service)
    .map((service) => service.fullName.slice(1));
  return [...own, ...namespace.nestedArray.filter((nested) => nested.nestedArray).flatMap(services)];
}
let types =
  '/** A uint64: a number, or what the protobufjs runtime makes of it where the package `long` is installed. */\n';
types += 'export type Integer = number | { toNumber(): number };\n\n';
const descriptors = [];
for (const [index, file] of files.entries()) {
  const parsed = new protobuf.Root().loadSync(file).resolveAll();
  types += interfaces(parsed);
  const { file: described } = parsed.toDescriptor('proto3');
  const [own] = described;
  own.name = names[index];
  const bytes = protobuf.descriptor.FileDescriptorProto.encode(own).finish();
  descriptors.push({ name: names[index], services: services(parsed), base64: Buffer.from(bytes).toString('base64') });
}
write('types.ts', types);
write(
  'descriptors.ts',
  `/** One FileDescriptorProto for each file under proto/. */\nexport const descriptors: { name: string; services: string[]; base64: string }[] = ${JSON.stringify(descriptors, null, 2)};\n`,
);

// Reads Parquet shards with hyparquet, and their soft targets with a decoder of our own.
// In:  { files: [path], k: int }
// Out: [{ column: value, …, soft_targets: what soft-targets.js returns }]   (a row each; created_at in milliseconds)
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { readFileSync, writeFileSync } from 'node:fs';
import { decodeSoftTargets } from './soft-targets.js';

const { files, k } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const rows = [];
for (const file of files) {
  for (const row of await parquetReadObjects({ file: await asyncBufferFromFile(file), compressors, utf8: false })) {
    if (row.soft_targets) row.soft_targets = decodeSoftTargets(row.soft_targets, row.token_ids.length, k);
    rows.push({ ...row, created_at: row.created_at.getTime() });
  }
}

writeFileSync(process.argv[3], JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? value.toString() : value)));

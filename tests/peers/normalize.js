// Unicode normalisation form C, as this machine's ICU has it.
// In:  [string]
// Out: [string]
import { readFileSync, writeFileSync } from 'node:fs';

writeFileSync(process.argv[3], JSON.stringify(JSON.parse(readFileSync(process.argv[2], 'utf8')).map(text => text.normalize('NFC'))));

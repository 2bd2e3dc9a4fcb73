// Renders templates with Hugging Face's Jinja.
// In:  [{ source, variables }]
// Out: [string or { error }]
import { Template } from '@huggingface/jinja';
import { readFileSync, writeFileSync } from 'node:fs';

const results = JSON.parse(readFileSync(process.argv[2], 'utf8')).map(({ source, variables }) => {
  try {
    return new Template(source).render(variables);
  } catch (error) {
    return { error: error.message };
  }
});
writeFileSync(process.argv[3], JSON.stringify(results));

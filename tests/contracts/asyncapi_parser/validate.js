// Reads an AsyncAPI document with the official parser and prints what it has to say, as JSON.
const { Parser, fromFile } = require('@asyncapi/parser');

(async () => {
  const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
  const said = diagnostics.map((d) => ({ severity: d.severity, code: d.code, at: d.path.join('.'), message: d.message }));
  console.log(JSON.stringify({ read: document !== undefined, said }));
})();

// JSON as text. JSON.parse would turn 12345678901234567890 into
// 12345678901234567000, 1.0 into 1 and 1E400 into nothing, and the dashboard
// shows the stored text: numbers are never parsed here, only cut out.

const DEEPEST = 40; // levels that are indented: without an end, depth would cost its square

// tokens yields the tokens of a JSON text, without the space in between.
function* tokens(json) {
  for (let at = 0; at < json.length;) {
    const from = at;
    if (json[at] === '"') at = afterString(json, at);
    else if ('{}[],:'.includes(json[at])) at++;
    else if (isSpace(json[at])) {
      at++;
      continue;
    } else while (at < json.length && !'{}[],:"'.includes(json[at]) && !isSpace(json[at])) at++;
    yield { text: json.slice(from, at), from, to: at };
  }
}

const isSpace = (c) => c === ' ' || c === '\n' || c === '\r' || c === '\t';

function afterString(json, at) {
  for (at++; at < json.length && json[at] !== '"'; at++) {
    if (json[at] === '\\') at++;
  }
  return at + 1;
}

// pretty breaks a JSON text into indented lines. Other text stays as it is.
export function pretty(json) {
  try {
    JSON.parse(json);
  } catch {
    return json;
  }
  let out = '';
  let depth = 0;
  let before = '';
  const line = () => `\n${'  '.repeat(Math.min(depth, DEEPEST))}`;
  for (const { text } of tokens(json)) {
    const opened = before === '{' || before === '[';
    if (text === '}' || text === ']') {
      depth--;
      if (!opened) out += line();
    } else if (opened || before === ',') {
      out += line();
    }
    if (text === '{' || text === '[') depth++;
    out += text === ':' ? ': ' : text;
    before = text;
  }
  return out;
}

// members cuts an object's members out of its JSON: their names, each with the
// JSON of its value.
export function members(json) {
  const found = {};
  let depth = 0;
  let name;
  let from = -1;
  for (const token of tokens(json)) {
    const { text } = token;
    if (text === '}' || text === ']') depth--;
    if (depth === 0 && text === '}' || depth === 1 && text === ',') {
      if (from >= 0) found[name] = json.slice(from, token.from).trimEnd();
      from = -1;
    } else if (depth === 1 && text !== ':' && from < 0) {
      if (name === undefined) name = JSON.parse(text);
      else from = token.from;
    }
    if (depth === 1 && text === ',') name = undefined;
    if (text === '{' || text === '[') depth++;
  }
  return found;
}

// The page's calls of the public API, as of any client: by URLs relative to the page,
// so that it works behind a proxy under another path.

export const root = new URL('.', document.baseURI); // the page is /ui: its folder is the API's
export const V2 = 'application/vnd.kafka.v2+json';

// get resolves to a response's text, and fails with the node's error message.
export async function get(path) {
  const answer = await fetch(new URL(path, root), { headers: { Accept: V2 } });
  const body = await answer.text();
  if (answer.ok) return body;
  let message;
  try {
    ({ message } = JSON.parse(body));
  } catch { /* an answer that is not the API's */ }
  throw new Error(message ?? `The answer is ${answer.status} ${answer.statusText}`);
}
